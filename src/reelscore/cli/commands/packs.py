"""``reelscore encoders pull`` and ``reelscore encoders export``."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reelscore.cli.options import INPUT, JsonOption
from reelscore.cli.output import note, print_json, print_table

if TYPE_CHECKING:
    from reelscore.encoders.export.pack_writer import ExportedEncoder


def pull_encoders(
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Download without asking.")] = False,
    json: JsonOption = False,
) -> None:
    """Fetch recommended encoders from the Hugging Face hub and make them the default.

    Shows the size of the download first. The models are exported once to a pack of ONNX encoders, which needs the extra
    'hub'. From then on, 'match' and 'add' use the pack without --pack, without torch and without the hub.
    """
    from reelscore.encoders.default_pack import check_export_libraries, pull_pack, pulled_pack, use_as_default

    captions = _captions()
    rows: list[dict[str, Any]] = []
    folder = pulled_pack(captions)
    if folder is not None:
        use_as_default(folder)
        note("already pulled: this release's models at these commits; nothing was downloaded")
    else:
        check_export_libraries()
        _confirm_download(yes=yes, json=json)
        folder, exported = pull_pack(captions)
        rows = [_row(part) for part in exported]
    if json:
        print_json({"folder": str(folder), "encoders": rows})
        return
    if rows:
        _print_exported(rows)
    note(f"default pack: {folder}")
    note("try it: reelscore match VIDEO --music FOLDER")


def export_encoders(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="New folder for the pack.")],
    video: Annotated[
        str | None,
        typer.Option(
            "--video", metavar="MODEL", help="Image model, an id or a folder.", rich_help_panel=INPUT
        ),
    ] = None,
    music: Annotated[
        str | None,
        typer.Option(
            "--music",
            metavar="MODEL",
            help="Audio model (CLAP, AST, ...), an id or a folder.",
            rich_help_panel=INPUT,
        ),
    ] = None,
    text: Annotated[
        str | None,
        typer.Option("--text", metavar="MODEL", help="Text model, an id or a folder.", rich_help_panel=INPUT),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Export transformers models as a pack of ONNX encoders.

    A pack runs without torch. The outputs of each exported encoder are compared with those of the original model. With
    --text, a pack of CLIP or SigLIP and CLAP matches without training.
    """
    from reelscore.encoders.export.pack_writer import export_pack

    exported = export_pack(folder, video=video, music=music, text=text, captions=_captions())
    rows = [_row(part) for part in exported]
    if json:
        print_json({"folder": str(folder), "encoders": rows})
        return
    _print_exported(rows)
    note(f"pack written to {folder}; to train with it: reelscore train VIDEOS --encoder pack --pack {folder}")


def _confirm_download(*, yes: bool, json: bool) -> None:
    """Show what will be downloaded, and ask unless `yes`.

    Raises
    ------
    ConfigError
        If there is no terminal to ask on.
    """
    from reelscore.encoders.default_pack import RECOMMENDED, packs_folder
    from reelscore.encoders.hub.download import download_size, hub_cache
    from reelscore.errors import ConfigError

    sizes = [download_size(model.repository, model.commit) for model in RECOMMENDED]
    if not json:
        print_table(
            ["part", "model", "licence", "size", "download", "commit"],
            [
                [m.role, m.repository, m.licence, _size(total), _size(missing), m.commit]
                for m, (total, missing) in zip(RECOMMENDED, sizes, strict=True)
            ],
            right=["size", "download"],
        )
    note(f"download: {_size(sum(missing for _, missing in sizes))} to {hub_cache()}")
    note(f"the pack is written to {packs_folder()}")
    if yes:
        return
    if not sys.stdin.isatty():
        raise ConfigError("nothing was downloaded, because there is no terminal to confirm it; add --yes")
    if not typer.confirm("Download and export?", err=True):
        note("nothing was downloaded")
        raise typer.Exit(1)


def _captions() -> dict[str, tuple[str, ...]]:
    """Return the captions of the built-in vocabulary by `model_type`."""
    from reelscore.encoders.hub.music_models import MUSIC_TOWERS
    from reelscore.models.zeroshot.prompts import CAPTIONS, caption_texts
    from reelscore.models.zeroshot.vocabulary import read_vocabulary

    vocabulary = read_vocabulary()
    return {
        kind: caption_texts(vocabulary, kind, modality="music" if kind in MUSIC_TOWERS else "video")
        for kind in CAPTIONS
    }


def _row(part: ExportedEncoder) -> dict[str, Any]:
    return {
        "part": part.role,
        "name": part.name,
        "dim": part.dim,
        "licence": part.licence,
        "num_bytes": part.num_bytes,
        "cosine_distance": part.distance,
    }


def _print_exported(rows: list[dict[str, Any]]) -> None:
    cells = [[f"{v:.3g}" if isinstance(v, float) else str(v) for v in row.values()] for row in rows]
    print_table(list(rows[0]), cells, right=["dim", "num_bytes", "cosine_distance"])


def _size(num_bytes: int) -> str:
    return f"{num_bytes / 1e6:,.1f} MB" if num_bytes < 1e9 else f"{num_bytes / 1e9:.2f} GB"
