"""``reelscore serve``."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from reelscore.cli.options import (
    LIBRARY,
    EncoderOption,
    LibraryOption,
    ModelOption,
    PackOption,
    VocabularyOption,
    check_one_place,
    check_pack,
    library_folder,
)
from reelscore.cli.output import note, print_line
from reelscore.errors import ConfigError

SERVER = "Server"


def serve(
    music: Annotated[
        Path | None,
        typer.Option(
            "--music",
            metavar="FOLDER",
            help="Folder of music, in place of a library. It is indexed in the background.",
            rich_help_panel=LIBRARY,
        ),
    ] = None,
    library: LibraryOption = None,
    model: ModelOption = None,
    encoder: EncoderOption = None,
    pack: PackOption = None,
    vocabulary: VocabularyOption = None,
    host: Annotated[
        str,
        typer.Option(
            "--host",
            metavar="HOST",
            help="Address to listen on. All but loopback ones need --keys.",
            rich_help_panel=SERVER,
        ),
    ] = "127.0.0.1",
    port: Annotated[
        int,
        typer.Option(
            "--port", metavar="PORT", min=0, max=65_535, help="Port; 0 for any.", rich_help_panel=SERVER
        ),
    ] = 8000,
    data: Annotated[
        Path | None,
        typer.Option(
            "--data",
            metavar="FOLDER",
            help="Folder for uploads and jobs; default: reelscore/service in the user's data folder.",
            rich_help_panel=SERVER,
        ),
    ] = None,
    root: Annotated[
        list[Path] | None,
        typer.Option(
            "--root",
            metavar="FOLDER",
            help="Folder below which clients may name videos and music by path; repeatable. Default: --music, and "
            "without keys the home folder.",
            rich_help_panel=SERVER,
        ),
    ] = None,
    keys: Annotated[
        Path | None,
        typer.Option("--keys", metavar="FILE", help="File of API keys.", rich_help_panel=SERVER),
    ] = None,
    new_key: Annotated[
        str | None,
        typer.Option(
            "--new-key",
            metavar="NAME:ROLE",
            help="Add a key to the file of --keys, print it and exit. Roles: reader, editor (videos and renders), "
            "admin (also the library).",
            rich_help_panel=SERVER,
        ),
    ] = None,
    keep_hours: Annotated[
        float,
        typer.Option(
            "--keep-hours",
            metavar="H",
            min=0.01,
            help="Hours until a video is deleted.",
            rich_help_panel=SERVER,
        ),
    ] = 24.0,
    max_upload_mb: Annotated[
        int,
        typer.Option("--max-upload-mb", metavar="MB", min=1, help="Largest upload.", rich_help_panel=SERVER),
    ] = 4096,
    jobs: Annotated[
        str | None,
        typer.Option(
            "--jobs",
            metavar="URL",
            help="Postgres database for the jobs (extra 'postgres'), in place of a file in --data.",
            rich_help_panel=SERVER,
        ),
    ] = None,
    matchers: Annotated[
        int,
        typer.Option(
            "--matchers",
            metavar="N",
            min=0,
            max=64,
            help="Processes that match; 0 matches in the server process.",
            rich_help_panel=SERVER,
        ),
    ] = 0,
) -> None:
    """Serve the page and the HTTP API.

    Videos are uploaded, matched, heard with each track, and rendered. Listens on this machine only, unless --host and
    --keys are given.
    """
    from reelscore.errors import missing_extra
    from reelscore.files import data_folder

    if new_key is not None:
        from reelscore.service.keys import add_key

        if keys is None:
            raise ConfigError("--new-key adds to a file of keys; give it with --keys FILE")
        print_line(add_key(keys.expanduser(), new_key))
        note("keep it: the file has only its hash")
        return
    try:
        from reelscore.service.server import serve as run
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("reelscore"):
            raise
        raise missing_extra(f"the service needs {error.name}", "serve") from None
    from reelscore.service.settings import Settings

    check_one_place(music, library)
    if music is None:
        check_pack(library_folder(library), pack)
    roots = [path.expanduser().resolve() for path in root or []]
    if not root:
        roots = [music.expanduser().resolve()] if music is not None else []
        roots += [Path.home()] if keys is None else []
    settings = Settings(
        data=(data or data_folder() / "service").expanduser(),
        music=music,
        library=None if music is not None else library_folder(library),
        model=model,
        encoder=encoder,
        pack=pack,
        vocabulary=vocabulary,
        roots=tuple(roots),
        host=host,
        port=port,
        keys=None if keys is None else keys.expanduser(),
        keep_s=keep_hours * 3600,
        upload_bytes=max_upload_mb << 20,
        jobs_url=jobs,
        matchers=matchers,
    )
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    run(settings, ready=lambda address: note(f"reelscore serves {address} (Ctrl-C ends it)"))
