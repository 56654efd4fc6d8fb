"""``reelscore encoders``: words that name encoders enter; what they are, whether they run and how fast is printed."""

from __future__ import annotations

import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reelscore.cli.options import JsonOption, PackOption
from reelscore.cli.output import note, print_json, print_table

if TYPE_CHECKING:
    from reelscore.encoders.inventory import EncoderInfo

encoders = typer.Typer(
    help="Say which encoders are there, try them, and export hub models as a pack.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

NamesArgument = Annotated[
    list[str] | None,
    typer.Argument(help="light, pack, or a hub model's folder or id; all that are there by default."),
]

_SECONDS = 12.0
_NUM_ROWS = 8


@encoders.command("list")
def list_encoders(pack: PackOption = None, json: JsonOption = False) -> None:
    """List the encoders that are there: light, the pack, and the models in the hub's local cache."""
    found = _found(None, pack)
    if json:
        print_json([_row(encoder) for encoder in found])
        return
    _table(("kind", "name", "part", "dim", "licence"), [_row(encoder) for encoder in found])


@encoders.command("show")
def show_encoder(
    name: Annotated[str, typer.Argument(help="light, pack, or a hub model's folder or id.")],
    pack: PackOption = None,
    json: JsonOption = False,
) -> None:
    """Show one encoder: licence, dimension, fingerprint and what goes in."""
    rows = [
        _row(encoder) | {"fingerprint": encoder.fingerprint, **_input(encoder)}
        for encoder in _found([name], pack)
    ]
    if json:
        print_json(rows)
        return
    for row in rows:
        for key, value in row.items():
            print(f"{key:<12} {value}")
        print()


@encoders.command("check")
def check_encoders(names: NamesArgument = None, pack: PackOption = None, json: JsonOption = False) -> None:
    """Run encoders on a made-up video, sound and text; print dimension and speed on this machine."""
    from reelscore.errors import ReelscoreError

    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        film, song = _made_up(Path(folder))
        for encoder in _found(names, pack):
            try:
                rows.append(_row(encoder) | _tried(encoder, film, song))
            except ReelscoreError as error:
                rows.append(_row(encoder) | {"problem": str(error)})
    problems = [row for row in rows if "problem" in row]
    if json:
        print_json(rows)
    else:
        _table(("kind", "name", "part", "dim", "licence", "open_s", "rows_per_s"), rows)
        note(
            f"{_NUM_ROWS} rows of one file each, decoding included; open_s is the first row, loading included"
        )
        for row in problems:
            note(f"  failed  {row['name']} ({row['part']}): {row['problem']}")
    if problems:
        raise typer.Exit(1)


@encoders.command("export")
def export_encoders(
    folder: Annotated[Path, typer.Argument(help="New folder for the pack.")],
    video: Annotated[
        str | None, typer.Option("--video", help="Hub model of pictures.", show_default=False)
    ] = None,
    music: Annotated[
        str | None, typer.Option("--music", help="Hub model of sound (CLAP, AST, ...).", show_default=False)
    ] = None,
    text: Annotated[
        str | None, typer.Option("--text", help="Hub model of texts.", show_default=False)
    ] = None,
    json: JsonOption = False,
) -> None:
    """Write hub models as a pack of ONNX files that needs no torch, compared with the originals."""
    from reelscore.encoders.export.pack_writer import export_pack

    exported = export_pack(folder, video=video, music=music, text=text)
    rows = [
        {
            "part": part.role,
            "name": part.name,
            "dim": part.dim,
            "licence": part.licence,
            "num_bytes": part.num_bytes,
            "cosine_distance": part.distance,
        }
        for part in exported
    ]
    if json:
        print_json({"folder": str(folder), "encoders": rows})
        return
    _table(("part", "name", "dim", "licence", "num_bytes", "cosine_distance"), rows)
    note(f"pack written to {folder}; train with it: reelscore train FOLDER --encoder pack --pack {folder}")


def _found(names: list[str] | None, pack: Path | None) -> list[EncoderInfo]:
    from reelscore.encoders.inventory import find_encoders, list_encoders

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
    """Return what goes in, as far as the encoder tells."""
    from dataclasses import asdict, is_dataclass

    inside = encoder.media_encoder or encoder.text_encoder
    told = getattr(inside, "input", None) or getattr(getattr(inside, "model", None), "input", None)
    if told is not None and is_dataclass(told) and not isinstance(told, type):
        return {"input": asdict(told)}
    sound = getattr(inside, "sound", None)
    if sound is not None:
        return {"input": {"rate_hz": sound.rate_hz, "window_samples": sound.num_samples}}
    longest = getattr(inside, "max_tokens", None)
    return {} if longest is None else {"input": {"max_tokens": longest}}


def _made_up(folder: Path) -> tuple[Path, Path]:
    """Write a video and a sound of `_SECONDS`: moving stripes, and a beating tone."""
    import numpy as np

    from reelscore.media.writer import write_audio, write_video

    film, song = folder / "film.mp4", folder / "song.wav"
    stripes = np.broadcast_to((np.arange(320) // 20 % 2 * 200).astype(np.uint8)[None, :, None], (180, 320, 3))
    write_video(film, (np.roll(stripes, 3 * i, axis=1) for i in range(int(_SECONDS * 10))), frame_rate_hz=10)
    time_s = np.arange(int(_SECONDS * 48_000)) / 48_000
    tone = 0.3 * np.sin(2 * np.pi * 220 * time_s) * (np.sin(2 * np.pi * 2 * time_s) > 0)
    write_audio(song, tone.astype(np.float32), rate_hz=48_000)
    return film, song


def _tried(encoder: EncoderInfo, film: Path, song: Path) -> dict[str, Any]:
    """Run one row and then `_NUM_ROWS`; return the seconds to the first and the rows a second."""
    from reelscore.features.sampling import global_sparse

    def run(num_rows: int) -> int:
        if encoder.text_encoder is not None:
            texts = ["people dance at night while the city sleeps"] * num_rows
            return int(encoder.text_encoder.encode(texts).shape[1])
        assert encoder.media_encoder is not None
        path = film if encoder.part == "video" else song
        segments = global_sparse(_SECONDS, num_segments=num_rows)
        return int(encoder.media_encoder.encode(path, segments).values.shape[1])

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
    numbers = {"dim", "open_s", "rows_per_s", "num_bytes", "cosine_distance"}
    cells = [[_cell(row.get(name, "-")) for name in columns] for row in rows]
    print_table(columns, cells, right=[name for name in columns if name in numbers])


def _cell(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) and abs(value) < 0.01 else str(value)
