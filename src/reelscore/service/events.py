"""Events of the service, kept in a table so that a client can continue after a break."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from .database import Database

_KEPT = 2000


@dataclass(frozen=True, slots=True)
class Event:
    """One event: its number, kind ("video", "job" or "library") and data."""

    id: int
    kind: str
    owner: str
    data: Mapping[str, Any]


class Events:
    """The newest events, in order."""

    def __init__(self, database: Database) -> None:
        self._database = database
        newest = database.row("SELECT seq FROM sqlite_sequence WHERE name = 'events'")
        self.newest = 0 if newest is None else int(newest["seq"])

    def publish(
        self, kind: str, data: Mapping[str, Any], *, owner: str = "", video: str | None = None
    ) -> None:
        """Append an event; within `Database.write`, it appears with the rest of the transaction."""
        with self._database.write() as connection:
            cursor = connection.execute(
                "INSERT INTO events (kind, owner, video, data) VALUES (?, ?, ?, ?)",
                (kind, owner, video, json.dumps(data, ensure_ascii=False)),
            )
            number = int(cursor.lastrowid or 0)
            connection.execute("DELETE FROM events WHERE id <= ?", (number - _KEPT,))
        self.newest = max(self.newest, number)

    def after(self, number: int) -> list[Event]:
        """Return the events after a number, oldest first."""
        rows = self._database.rows("SELECT * FROM events WHERE id > ? ORDER BY id LIMIT 500", number)
        return [Event(row["id"], row["kind"], row["owner"], json.loads(row["data"])) for row in rows]

    def oldest(self) -> int:
        """Return the number of the oldest event that is kept; without one, that of the next."""
        row = self._database.row("SELECT min(id) AS id FROM events")
        return self.newest + 1 if row is None or row["id"] is None else int(row["id"])
