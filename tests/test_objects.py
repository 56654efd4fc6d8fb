"""Folders on object stores: addresses, reading, conditional writes, and errors without secrets."""

from __future__ import annotations

import socket
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest

from reelscore.errors import ConfigError, InputError, NotFoundError, ReelscoreError
from reelscore.objects import S3Folder, uri_scheme
from support import buckets


@pytest.fixture(params=["localbucket", "moto"])
def folder(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[S3Folder]:
    server = buckets.localbucket(tmp_path / "s3") if request.param == "localbucket" else buckets.moto()
    with server as url:
        buckets.use(monkeypatch, url)
        yield S3Folder.parse(f"s3://{buckets.BUCKET}/some/prefix")


@pytest.mark.parametrize(
    ("uri", "bucket", "prefix"),
    [
        ("s3://media", "media", ""),
        ("s3://media/", "media", ""),
        ("S3://media/a//b/", "media", "a/b"),
        ("s3:/media/a", "media", "a"),
        ("s3://my.bucket-1/with space/é", "my.bucket-1", "with space/é"),
    ],
)
def test_an_address_has_a_bucket_and_a_prefix(uri: str, bucket: str, prefix: str) -> None:
    assert S3Folder.parse(uri) == S3Folder(bucket, prefix)


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("gs://media/a", "unknown scheme 'gs'"),
        ("lib", "no s3:// address"),
        ("s3://", "no valid s3:// address"),
        ("s3://x/a", "no valid s3:// address"),
        ("s3://Media/a", "no valid s3:// address"),
        ("s3://media/../other", "no valid s3:// address"),
    ],
)
def test_another_address_is_an_input_error(uri: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        S3Folder.parse(uri)


def test_paths_have_no_scheme() -> None:
    assert [uri_scheme(text) for text in ("lib", "/a/b", "a:b", "C:/lib", "./s3://x")] == [""] * 5


def test_objects_are_written_read_listed_and_deleted(folder: S3Folder, tmp_path: Path) -> None:
    assert folder.read("a.json") is None
    folder.write("a.json", b"one")
    folder.write("a.json", b"two")
    folder.write("sub/b c.bin", bytes(range(256)) * 400)
    assert folder.read("a.json") == b"two"
    assert [(o.name, o.size_bytes) for o in folder.objects()] == [("a.json", 3), ("sub/b c.bin", 102_400)]
    assert [o.name for o in (folder / "sub").objects()] == ["b c.bin"]
    assert [o.name for o in folder.objects("sub")] == ["sub/b c.bin"]
    assert all(o.etag for o in folder.objects())
    (folder / "sub").download("b c.bin", tmp_path / "copy")
    assert (tmp_path / "copy").read_bytes() == bytes(range(256)) * 400
    folder.delete(["a.json", "sub/b c.bin", "absent"])
    assert list(folder.objects()) == []
    with pytest.raises(NotFoundError, match=r"prefix/a\.json does not exist"):
        folder.download("a.json", tmp_path / "none")
    assert not (tmp_path / "none").exists()


def test_one_of_several_creates_an_object(folder: S3Folder) -> None:
    folder.check_conditional_writes()
    assert list(folder.objects()) == []
    created: list[int] = []

    def create(number: int) -> None:
        if folder.create("pointer", str(number).encode()):
            created.append(number)

    threads = [threading.Thread(target=create, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(created) == 1
    assert folder.read("pointer") == str(created[0]).encode()


def test_a_store_without_conditional_writes_is_rejected(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with buckets.localbucket(tmp_path, handler=buckets.without_conditional_writes()) as url:
        buckets.use(monkeypatch, url)
        folder = S3Folder.parse(f"s3://{buckets.BUCKET}/lib")
        with pytest.raises(ConfigError, match=r"does not honour conditional writes .*it replaced an object"):
            folder.check_conditional_writes()
        assert list(folder.objects()) == []


@pytest.mark.parametrize(
    ("status", "code", "message"),
    [
        (403, "InvalidAccessKeyId", "rejected the credentials"),
        (403, "SignatureDoesNotMatch", "rejected the credentials"),
        (403, "AccessDenied", "denied access"),
        (401, "", "rejected the credentials"),
        (404, "NoSuchBucket", "there is no bucket 'media'"),
        (400, "AuthorizationHeaderMalformed", "Set AWS_REGION"),
        (418, "Strange", "answered 418 Strange"),
        (503, "SlowDown", "answered 503 SlowDown"),
    ],
)
def test_errors_name_what_to_do_and_no_secret(
    status: int, code: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with buckets.localbucket(tmp_path, handler=buckets.answering(status, code)) as url:
        buckets.use(monkeypatch, url)
        folder = S3Folder.parse(f"s3://{buckets.BUCKET}/lib")
        for act in (
            lambda: folder.read("x"),
            lambda: folder.write("x", b""),
            lambda: folder.create("x", b""),
            lambda: list(folder.objects()),
            lambda: folder.download("x", tmp_path / "x"),
        ):
            with pytest.raises(ReelscoreError, match=message) as caught:
                act()
            shown = "".join(traceback.format_exception(caught.value))
            assert buckets.KEY not in shown
            assert buckets.SECRET not in shown


def test_an_unreachable_host_is_reported_within_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port = unused.getsockname()[1]
    buckets.use(monkeypatch, f"http://127.0.0.1:{port}")
    started_s = time.monotonic()
    with pytest.raises(NotFoundError, match=rf"127\.0\.0\.1:{port} cannot be reached"):
        S3Folder.parse("s3://media/lib").read("x")
    assert time.monotonic() - started_s < 8


def test_an_endpoint_without_a_scheme_is_rejected(monkeypatch: pytest.MonkeyPatch) -> None:
    buckets.use(monkeypatch, "storage.example.com")
    with pytest.raises(ConfigError, match=r"AWS_ENDPOINT_URL is 'storage\.example\.com'"):
        S3Folder.parse("s3://media/lib").read("x")


def test_a_bucket_that_does_not_exist_is_reported(folder: S3Folder) -> None:
    other = S3Folder.parse("s3://no-such-bucket/lib")
    for act in (lambda: other.write("x", b""), lambda: list(other.objects())):
        with pytest.raises(NotFoundError, match="no bucket 'no-such-bucket'"):
            act()


def test_a_busy_store_is_not_taken_for_one_without_conditional_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for status, message in ((503, "answered 503"), (501, "does not honour conditional writes")):
        handler = buckets.answering(status, "Error")
        with buckets.localbucket(tmp_path / str(status), handler=handler) as url:
            buckets.use(monkeypatch, url)
            with pytest.raises(ReelscoreError, match=message):
                S3Folder.parse(f"s3://{buckets.BUCKET}/lib").check_conditional_writes()
