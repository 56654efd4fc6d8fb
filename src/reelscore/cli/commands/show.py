"""``reelscore show``."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated

import typer

from reelscore.cli.options import JsonOption, LibraryOption, library_folder
from reelscore.cli.output import excerpt, minutes, note, print_json, print_line, print_table

if TYPE_CHECKING:
    from reelscore.library.storage.facts import TrackFacts, Value

_PARTS_OF_KEY = ("tonic", "mode")
_UNITS = {"lufs": "LUFS", "true_peak": "dBTP", "lra": "LU"}


def show(
    track: Annotated[
        str, typer.Argument(metavar="TRACK", help="A path, a title, or a key (or its first characters).")
    ],
    library: LibraryOption = None,
    json: JsonOption = False,
) -> None:
    """Show a track of a library, and where each value comes from."""
    from reelscore.library.library import Library
    from reelscore.library.storage.facts import BUILT_IN

    opened = Library.open(library_folder(library), create=False)
    entry = opened.show(track)
    fields = dataclasses.asdict(entry.track) | {
        "album": entry.album,
        "size_bytes": entry.size_bytes,
        "num_moments": len(entry.moments),
    }
    facts = entry.facts
    names = [*(n for n in BUILT_IN if n in facts.values), *sorted(set(facts.values) - set(BUILT_IN))]
    if json:
        print_json(
            fields
            | {
                "facts": {
                    name: {
                        "value": facts.values[name],
                        "source": facts.sources[name],
                        "others": _others(facts, name),
                    }
                    for name in names
                }
            }
        )
        return
    fields["duration_s"] = f"{entry.track.duration_s:.3f} ({minutes(entry.track.duration_s)})"
    for name, value in fields.items():
        print_line(f"{name:<14} {value if name == 'path' else excerpt(str(value))}")
    if names:
        print_line()
        rows = []
        for name in names:
            if name in _PARTS_OF_KEY:
                continue
            others = [f"{source}: {_text(name, value)}" for source, value in _others(facts, name).items()]
            rows.append([name, _text(name, facts.values[name]), facts.sources[name], "; ".join(others)])
        print_table(["column", "value", "source", "instead of"], rows)
    if message := opened.facts_note():
        note(message)


def _others(facts: TrackFacts, name: str) -> dict[str, Value]:
    """Return the values of a column that another source replaces."""
    return {source: values[name] for source, values in facts.outranked.items() if name in values}


def _text(name: str, value: Value) -> str:
    from reelscore.analysis.rhythm import LEAST_STEADINESS

    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, tuple):
        return ", ".join(value)
    if name == "beat_strength" and isinstance(value, float) and value < LEAST_STEADINESS:
        return f"{value} (no steady beat)"
    if isinstance(value, float):
        return f"{value:.10g} {_UNITS.get(name, '')}".strip()
    return str(value)
