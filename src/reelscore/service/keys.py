"""API keys with roles, stored as hashes."""

from __future__ import annotations

import hashlib
import hmac
import re
import secrets
import tomllib
from dataclasses import dataclass
from pathlib import Path

from reelscore.errors import ConfigError, NotFoundError
from reelscore.files import parse_toml, read_file, write_bytes

ROLES = ("reader", "editor", "admin")
"""A role may do what those before it may: match by text and hear; add videos and render; change the library."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class Client:
    """Who sends a request: the name of the key, and its role."""

    name: str
    role: str

    def may(self, role: str) -> bool:
        """Return whether this client may do what a role may."""
        return ROLES.index(self.role) >= ROLES.index(role)


LOCAL = Client("", "admin")
"""The client where there are no keys, which is so on loopback only."""


class Keys:
    """The keys of a file.

    Parameters
    ----------
    path : Path

    Raises
    ------
    NotFoundError, ConfigError
        When the file is absent or is no file of keys.
    """

    def __init__(self, path: Path) -> None:
        self._hashes: dict[str, tuple[Client, bytes]] = {}
        for name, (role, digest) in _read(path).items():
            self._hashes[name] = (Client(name, role), bytes.fromhex(digest))
        if not self._hashes:
            raise ConfigError(
                f"{path} has no keys. Create one: reelscore serve --new-key NAME:admin --keys {path}"
            )

    def client(self, key: str) -> Client | None:
        """Return the client of a key; None for an unknown one. The time does not depend on the keys."""
        digest = _hash(key)
        found = None
        for client, known in self._hashes.values():
            if hmac.compare_digest(digest, known):
                found = client
        return found


def add_key(path: Path, name_and_role: str) -> str:
    """Add a key to a file, which may be absent, and return the key. It is not stored, so it can be shown only now.

    Parameters
    ----------
    path : Path
    name_and_role : str
        Such as ``"anna:editor"``.
    """
    name, _, role = name_and_role.partition(":")
    if not _NAME.fullmatch(name) or role not in ROLES:
        raise ConfigError(f"expected NAME:ROLE with the role {', '.join(ROLES)}, got {name_and_role!r}")
    known = _read(path) if path.exists() else {}
    if name in known:
        raise ConfigError(
            f"{path} has a key {name!r}. Choose another name, or delete its lines from the file"
        )
    key = f"rs_{secrets.token_urlsafe(32)}"
    known[name] = (role, _hash(key).hex())
    parts = [f'["{name}"]\nrole = "{role}"\nblake2b = "{digest}"\n' for name, (role, digest) in known.items()]
    write_bytes(path, "\n".join(parts).encode())
    path.chmod(0o600)
    return key


def _read(path: Path) -> dict[str, tuple[str, str]]:
    try:
        tables = parse_toml(read_file(path))
    except FileNotFoundError:
        raise NotFoundError(
            f"there is no file of keys {path}. Create it: reelscore serve --new-key NAME:admin --keys {path}"
        ) from None
    except (tomllib.TOMLDecodeError, ValueError) as error:
        raise ConfigError(
            f"{path} is not TOML ({error}). Repair the line, or create the keys again"
        ) from None
    keys = {}
    for name, table in tables.items():
        role, digest = (table.get("role"), table.get("blake2b")) if isinstance(table, dict) else (None, None)
        if role not in ROLES or not isinstance(digest, str) or not re.fullmatch("[0-9a-f]{64}", digest):
            raise ConfigError(
                f"{path}: [{name}] needs a role ({', '.join(ROLES)}) and blake2b with 64 hex digits. Repair it, or "
                "delete the table and create the key again with --new-key"
            )
        keys[name] = (role, digest)
    return keys


def _hash(key: str) -> bytes:
    # Keys are 256 random bits, so a slow hash would add nothing.
    return hashlib.blake2b(key.encode("utf-8", "surrogateescape"), digest_size=32).digest()
