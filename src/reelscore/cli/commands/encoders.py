"""``reelscore encoders``."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reelscore.cli.command import Command, Group, examples
from reelscore.cli.options import JsonOption, PackOption
from reelscore.cli.output import note, print_json, print_line, print_table

from .packs import export_encoders, pull_encoders

if TYPE_CHECKING:
    from reelscore.encoders.inventory import EncoderInfo

encoders = typer.Typer(cls=Group, help="Fetch, list, check and export encoders.", rich_markup_mode=None)

NAME_HELP = "light, pack, or the id or folder of a transformers model."
NamesArgument = Annotated[
    list[str] | None, typer.Argument(metavar="NAMES", help=f"{NAME_HELP} Default: all that are installed.")
]

_SECONDS = 12.0
_NUM_ROWS = 8

encoders.command(
    "pull", cls=Command, epilog=examples("reelscore encoders pull", "reelscore encoders pull --yes")
)(pull_encoders)


@encoders.command("list", cls=Command, epilog=examples("reelscore encoders list --pack my-pack"))
def list_encoders(pack: PackOption = None, json: JsonOption = False) -> None:
    """List the installed encoders: light, the pack and cached models. Names the default pack."""
    from reelscore.encoders.default_pack import default_pack

    default = default_pack()
    rows = [
        _row(encoder) | {"default": encoder.kind == "pack" and pack is None}
        for encoder in _encoders(None, pack)
    ]
    if json:
        print_json(rows)
        return
    _table(("kind", "name", "part", "dim", "licence"), rows)
    if default is None:
        note("no default pack; fetch one: reelscore encoders pull")
        return
    note(f"default pack: {default}")
    note("use another one: --pack FOLDER or REELSCORE_PACK; remove it: delete that folder")


@encoders.command("show", cls=Command, epilog=examples("reelscore encoders show light"))
def show_encoder(
    name: Annotated[str, typer.Argument(metavar="NAME", help=NAME_HELP)],
    pack: PackOption = None,
    json: JsonOption = False,
) -> None:
    """Show licence, dimension, fingerprint and input of an encoder."""
    rows = [
        _row(encoder) | {"fingerprint": encoder.fingerprint, **_input(encoder)}
        for encoder in _encoders([name], pack)
    ]
    if json:
        print_json(rows)
        return
    for row in rows:
        for key, value in row.items():
            print_line(f"{key:<12} {value}")
        print_line()


@encoders.command(
    "check", cls=Command, epilog=examples("reelscore encoders check openai/clip-vit-base-patch32")
)
def check_encoders(names: NamesArgument = None, pack: PackOption = None, json: JsonOption = False) -> None:
    """Run encoders on generated media and measure their speed."""
    from reelscore.errors import ReelscoreError

    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        film, song = _write_media(Path(folder))
        for encoder in _encoders(names, pack):
            try:
                rows.append(_row(encoder) | _measure(encoder, film, song))
            except ReelscoreError as error:
                rows.append(_row(encoder) | {"problem": str(error)})
    problems = [row for row in rows if "problem" in row]
    if json:
        print_json(rows)
    else:
        _table(("kind", "name", "part", "dim", "licence", "open_s", "rows_per_s"), rows)
        note(
            f"open_s: time to load and encode the first row; rows_per_s: over {_NUM_ROWS} rows, with decoding"
        )
        for row in problems:
            note(f"  failed  {row['name']} ({row['part']}): {row['problem']}")
    if problems:
        raise typer.Exit(1)


encoders.command(
    "export",
    cls=Command,
    epilog=examples("reelscore encoders export my-pack --music laion/clap-htsat-unfused"),
)(export_encoders)


def _encoders(names: list[str] | None, pack: Path | None) -> list[EncoderInfo]:
    from reelscore.encoders.default_pack import default_pack
    from reelscore.encoders.inventory import find_encoders, list_encoders

    pack = pack or default_pack()
    if names:
        return [encoder for name in names for encoder in find_encoders(name, pack)]
    return list_encoders(pack, skipped=lambda name, reason: note(f"  skipped  {name}: {reason}"))


def _row(encoder: EncoderInfo) -> dict[str, Any]:
    return {
        "kind": encoder.kind,
        "name": encoder.name,
        "part": encoder.part,
        "dim": encoder.dim,
        "licence": encoder.licence,
    }


def _input(encoder: EncoderInfo) -> dict[str, Any]:
    """Return the input format, if the encoder states it."""
    from dataclasses import asdict, is_dataclass

    inner = encoder.media_encoder or encoder.text_encoder
    stated = getattr(inner, "input", None) or getattr(getattr(inner, "model", None), "input", None)
    if stated is not None and is_dataclass(stated) and not isinstance(stated, type):
        return {"input": asdict(stated)}
    tower = getattr(inner, "tower", None)
    if tower is not None and hasattr(tower, "num_samples"):
        return {"input": {"rate_hz": tower.rate_hz, "window_samples": tower.num_samples}}
    max_tokens = getattr(inner, "max_tokens", None)
    return {} if max_tokens is None else {"input": {"max_tokens": max_tokens}}


def _write_media(folder: Path) -> tuple[Path, Path]:
    """Write a video of moving stripes and a pulsed tone, each `_SECONDS` long."""
    import numpy as np

    from reelscore.media.writer import write_audio, write_video

    film, song = folder / "film.mp4", folder / "song.wav"
    stripes = np.broadcast_to((np.arange(320) // 20 % 2 * 200).astype(np.uint8)[None, :, None], (180, 320, 3))
    write_video(film, (np.roll(stripes, 3 * i, axis=1) for i in range(int(_SECONDS * 10))), frame_rate_hz=10)
    time_s = np.arange(int(_SECONDS * 48_000)) / 48_000
    tone = 0.3 * np.sin(2 * np.pi * 220 * time_s) * (np.sin(2 * np.pi * 2 * time_s) > 0)
    write_audio(song, tone.astype(np.float32), rate_hz=48_000)
    return film, song


def _measure(encoder: EncoderInfo, film: Path, song: Path) -> dict[str, Any]:
    """Encode one row, then `_NUM_ROWS`; return the time to the first and the rows per second."""
    from reelscore.features.sampling import global_sparse

    def run(num_rows: int) -> int:
        if encoder.text_encoder is not None:
            texts = ["people dance at night while the city sleeps"] * num_rows
            return int(encoder.text_encoder.encode(texts).shape[1])
        assert encoder.media_encoder is not None
        path = film if encoder.part == "video" else song
        segments = global_sparse(_SECONDS, num_segments=num_rows)
        return int(encoder.media_encoder.encode(path, segments).values.shape[1])

    model = getattr(encoder.media_encoder, "model", None)
    if encoder.kind == "pack" and model is not None:
        for output in model.spec.outputs:
            if output.labels is not None:
                model.labels(output.name)  # raises if the labels are damaged
    start = time.perf_counter()
    run(1)
    opened = time.perf_counter()
    dim = run(_NUM_ROWS)
    return {
        "dim": dim,
        "open_s": round(opened - start, 3),
        "rows_per_s": round(_NUM_ROWS / (time.perf_counter() - opened), 2),
    }


def _table(columns: tuple[str, ...], rows: list[dict[str, Any]]) -> None:
    numbers = {"dim", "open_s", "rows_per_s"}
    cells = [[_cell(row.get(name, "-")) for name in columns] for row in rows]
    print_table(columns, cells, right=[name for name in columns if name in numbers])


def _cell(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) and abs(value) < 0.01 else str(value)
