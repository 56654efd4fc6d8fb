"""Commands with a library on an object store, and addresses that cannot be used."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner

from reelscore.cli.app import app
from reelscore.errors import EXIT_CODES, ConfigError, InputError, NotFoundError
from support import buckets

LIBRARY = f"s3://{buckets.BUCKET}/music/lib"


def run(*arguments: object) -> tuple[int, str]:
    """Return the exit code and all that was printed."""
    done = CliRunner().invoke(app, [str(argument) for argument in arguments])
    return done.exit_code, done.output


@pytest.fixture
def bucket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with buckets.localbucket(tmp_path / "s3") as url:
        buckets.use(monkeypatch, url)
        yield


@pytest.mark.slow
def test_commands_work_as_with_a_folder(
    bucket: None, music_folder: Path, video_file: Path, tmp_path: Path
) -> None:
    songs = sorted(music_folder.iterdir())[:3]
    table = tmp_path / "licences.csv"
    table.write_text(f"path,licence\n{songs[0]},free\n", encoding="utf-8")
    for arguments, expected in (
        (("add", *songs), f"3 added, 0 unchanged, 0 failed\nlibrary {LIBRARY}: 3 tracks"),
        (("add", *songs), "3 tracks up to date"),
        (("list",), f"3 tracks in {LIBRARY}"),
        (("tag", "import", table), "imported licence for 1 track"),
        (("show", "song 0"), "free"),
        (("match", video_file, "--licence", "free"), "song 0"),
        (("rebuild",), "3 rebuilt"),
        (("show", "song 0"), "free"),
        (("remove", "song 1"), f"library {LIBRARY}: 2 tracks"),
    ):
        code, printed = run(*arguments, "--library", LIBRARY)
        assert code == 0, printed
        assert expected in printed


@pytest.mark.parametrize("command", [("list",), ("add", "music"), ("match", "film.mp4"), ("rebuild",)])
def test_an_unknown_scheme_is_rejected(
    command: tuple[str, ...], music_folder: Path, video_file: Path
) -> None:
    paths = {"music": music_folder, "film.mp4": video_file}
    code, printed = run(*(paths.get(word, word) for word in command), "--library", "gs://media/lib")
    assert code == EXIT_CODES[InputError]
    assert "'gs://media/lib' has the unknown scheme 'gs'" in printed


def test_an_unreachable_store_and_a_missing_bucket_are_reported(
    monkeypatch: pytest.MonkeyPatch, bucket: None, music_folder: Path
) -> None:
    code, printed = run("add", music_folder, "--library", "s3://no-such-bucket/lib")
    assert (code, "there is no bucket 'no-such-bucket'" in printed) == (EXIT_CODES[NotFoundError], True)
    code, printed = run("list", "--library", LIBRARY)
    assert code == EXIT_CODES[NotFoundError]
    assert f"Create one: reelscore add MUSIC_FOLDER --library {LIBRARY}" in printed
    buckets.use(monkeypatch, "http://127.0.0.1:1")
    code, printed = run("list", "--library", LIBRARY)
    assert (code, "127.0.0.1:1 cannot be reached" in printed) == (EXIT_CODES[NotFoundError], True)


def test_credentials_are_not_printed(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, music_folder: Path
) -> None:
    handler = buckets.answering(403, "SignatureDoesNotMatch")
    with buckets.localbucket(tmp_path, handler=handler) as url:
        buckets.use(monkeypatch, url)
        for command in (("list",), ("add", music_folder), ("doctor",), ("rebuild",)):
            code, printed = run(*command, "--library", LIBRARY)
            assert code == (1 if command == ("doctor",) else EXIT_CODES[ConfigError])
            assert "rejected the credentials" in " ".join(printed.split())
            assert buckets.KEY not in printed
            assert buckets.SECRET not in printed


def test_nothing_is_read_or_written_without_conditional_writes(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, music_folder: Path
) -> None:
    with buckets.localbucket(tmp_path, handler=buckets.without_conditional_writes()) as url:
        buckets.use(monkeypatch, url)
        code, printed = run("add", music_folder, "--library", LIBRARY)
        assert (code, "does not honour conditional writes" in printed) == (EXIT_CODES[ConfigError], True)
        assert "adding" not in printed
    assert not [path for path in (tmp_path / buckets.BUCKET).rglob("*") if path.is_file()]


def test_an_address_in_place_of_a_file_or_folder_is_rejected(video_file: Path, tmp_path: Path) -> None:
    library = ("--library", tmp_path / "lib")
    for arguments in (
        ("match", "s3://media/film.mp4", *library),
        ("match", video_file, "--music", "s3://media/music"),
        ("probe", "s3://media/film.mp4"),
    ):
        code, printed = run(*arguments)
        assert code == EXIT_CODES[InputError]
        assert "is on an object store, and a file or folder on this machine is needed" in printed
