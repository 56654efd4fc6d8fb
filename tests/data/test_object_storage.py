"""Extraction from and to object storage."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from reelscore.cli.sources import find_data_set, read_rows
from reelscore.data.feature_set import FeatureSet
from reelscore.data.feature_writer import write_pairs
from reelscore.data.manifest import read_manifest, rows_from_bucket, rows_from_folder
from reelscore.data.pair_settings import PairSettings
from reelscore.encoders.spec import EncoderSpec
from reelscore.errors import ArtifactError, ConfigError, InputError, NotFoundError
from reelscore.objects import S3Folder
from reelscore.workers.local import run_all
from support import worlds
from support.buckets import BUCKET, KEY, SECRET, localbucket, use, without_conditional_writes
from support.command import reelscore_process

SETTINGS = PairSettings.of(EncoderSpec(), name="films", num_segments=2, num_random_samples=1)
ONE_WORKER = partial(run_all, workers=1)


@pytest.fixture(scope="module")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two films, one of them in a subfolder, and files that are none."""
    folder = tmp_path_factory.mktemp("films")
    (folder / "a").mkdir()
    worlds.finished(folder / "a" / "one film.mp4", i=1, seconds=1.0)
    worlds.finished(folder / "a-two.mp4", i=2, seconds=1.0)
    (folder / "._a-two.mp4").write_bytes(b"of a file system")
    (folder / "notes.txt").write_text("none")
    return folder


@pytest.fixture
def bucket(films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3Folder]:
    """The films in a bucket."""
    with localbucket(tmp_path / "server") as url:
        use(monkeypatch, url)
        folder = S3Folder(BUCKET)
        for file in films.rglob("*"):
            if file.is_file():
                folder.write(f"films/{file.relative_to(films).as_posix()}", file.read_bytes())
        yield folder


def test_objects_give_the_rows_of_the_same_files_and_their_copies_are_deleted(
    bucket: S3Folder, films: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "copies" / "reelscore-media-999999999-x").mkdir(parents=True)  # of a process that was killed
    monkeypatch.setenv("TMPDIR", str(tmp_path / "copies"))
    monkeypatch.setattr(tempfile, "tempdir", None)
    rows = rows_from_bucket(f"s3://{BUCKET}/films")
    assert [row.key for row in rows.rows] == ["a/one film.mp4", "a-two.mp4"]
    there = FeatureSet.open_or_create(f"s3://{BUCKET}/sets/films", SETTINGS)
    report = write_pairs(there, rows.rows, EncoderSpec(), engine=ONE_WORKER)
    assert (report.num_new, report.failed) == (2, [])
    assert not list((tmp_path / "copies").iterdir())
    here = FeatureSet.create(tmp_path / "here", SETTINGS)
    write_pairs(here, rows_from_folder(films).rows, EncoderSpec(), engine=ONE_WORKER)
    names = here.table.schema.names
    assert there.table.columns(*names).equals(here.table.columns(*names))
    read = find_data_set(Path(f"s3://{BUCKET}/sets/films"))
    assert read is not None
    assert read.pairs().keys == ("a/one film.mp4", "a-two.mp4")
    assert find_data_set(Path(f"s3://{BUCKET}/films")) is None
    again = FeatureSet.open_or_create(f"s3://{BUCKET}/sets/films", SETTINGS)
    report = write_pairs(again, rows.rows, EncoderSpec(), engine=ONE_WORKER)
    assert (report.num_stored, report.num_new) == (2, 0)


def test_a_manifest_on_object_storage_names_objects_beside_it_and_elsewhere(bucket: S3Folder) -> None:
    bucket.write(
        "films/pairs.csv", f"video,music\na-two.mp4,\ngone.mp4,s3://{BUCKET}/films/a-two.mp4\n".encode()
    )
    rows = read_rows(Path(f"s3://{BUCKET}/films/pairs.csv")).rows
    assert [(row.video, row.music, row.key) for row in rows] == [
        (f"s3://{BUCKET}/films/a-two.mp4", None, "a-two.mp4"),
        (
            f"s3://{BUCKET}/films/gone.mp4",
            f"s3://{BUCKET}/films/a-two.mp4",
            f"gone.mp4 + s3://{BUCKET}/films/a-two.mp4",
        ),
    ]
    pairs = FeatureSet.open_or_create(f"s3://{BUCKET}/set", SETTINGS)
    report = write_pairs(pairs, rows, EncoderSpec(), engine=ONE_WORKER)
    assert report.num_new == 1
    assert report.failed[0].reason == f"s3://{BUCKET}/films/gone.mp4 does not exist. Check the spelling"


def test_a_local_manifest_may_name_objects_but_of_known_schemes_alone(tmp_path: Path) -> None:
    table = tmp_path / "pairs.csv"
    table.write_text("video\ns3://films/a.mp4\n")
    assert read_manifest(table).rows[0].video == "s3://films/a.mp4"
    table.write_text("video\ngs://films/a.mp4\n")
    with pytest.raises(InputError, match=r"'gs://films/a.mp4' has the unknown scheme 'gs'"):
        read_manifest(table)


def test_what_cannot_be_read_or_written_safely_is_refused(
    bucket: S3Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(InputError, match="holds no video objects"):
        rows_from_bucket(f"s3://{BUCKET}/sets")
    with pytest.raises(ArtifactError, match=r"holds other files \(._a-two.mp4\)"):
        FeatureSet.open_or_create(f"s3://{BUCKET}/films", SETTINGS)
    with pytest.raises(NotFoundError, match="there is no bucket 'absent'"):
        FeatureSet.open_or_create("s3://absent/set", SETTINGS)
    with pytest.raises(InputError, match="unknown scheme 'gs'"):
        FeatureSet.open_or_create("gs://media/set", SETTINGS)
    with localbucket(tmp_path / "faulty", handler=without_conditional_writes()) as url:
        use(monkeypatch, url)
        with pytest.raises(ConfigError, match="does not honour conditional writes"):
            FeatureSet.open_or_create(f"s3://{BUCKET}/set", SETTINGS)
        assert not list(bucket.objects())
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    with pytest.raises(NotFoundError, match="cannot be reached") as raised:
        FeatureSet.open(f"s3://{BUCKET}/set")
    assert KEY not in str(raised.value)
    assert SECRET not in str(raised.value)
    assert os.environ["AWS_SECRET_ACCESS_KEY"] == SECRET


@pytest.mark.slow
def test_the_ray_engine_reads_and_writes_objects(bucket: S3Folder, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    source, options = f"s3://{BUCKET}/films", ("--draws", 1, "--workers", 1)
    reelscore_process("extract", source, "--out", tmp_path / "here", *options)
    done = reelscore_process("extract", source, "--out", f"s3://{BUCKET}/set", "--engine", "ray", *options)
    assert done.stdout.splitlines()[1] == f"data set s3://{BUCKET}/set: 2 rows"
    here, there = FeatureSet.open(tmp_path / "here").table, FeatureSet.open(f"s3://{BUCKET}/set").table
    names = here.schema.names
    assert there.columns(*names).equals(here.columns(*names))
    assert SECRET not in done.stderr
