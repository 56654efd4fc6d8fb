"""Folders on S3 and compatible object stores, addressed as ``s3://bucket/prefix``."""

from __future__ import annotations

import os
import re
import uuid
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from .errors import ArtifactError, ConfigError, InputError, NotFoundError, ReelscoreError, missing_extra
from .files import replace_file
from .files import uri_scheme as uri_scheme

if TYPE_CHECKING:
    from obstore.store import S3Store

_BUCKET = re.compile(r"[a-z0-9][a-z0-9._-]{1,61}[a-z0-9]")
_ENDPOINT = ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL", "AWS_ENDPOINT")
_REGION = ("AWS_REGION", "AWS_DEFAULT_REGION")
_CREDENTIALS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")

_MAX_RETRIES = 3
_RETRY_S = 10
_CONNECT_S = 3
# An unreachable host is reported within seconds, and a server that restarts is waited for.

_WRONG_CREDENTIALS = (
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "InvalidToken",
    "ExpiredToken",
    "AuthFailure",
)


_proven: set[object] = set()


class StoredObject(NamedTuple):
    """An object below an `S3Folder`.

    Attributes
    ----------
    name : str
        Relative to the folder.
    size_bytes : int
    modified : datetime
    etag : str
        Changes with the content; empty where the store gives none.
    """

    name: str
    size_bytes: int
    modified: datetime
    etag: str


@dataclass(frozen=True, slots=True)
class S3Folder:
    """A prefix of a bucket; create it with `S3Folder.parse`.

    Endpoint, region and credentials are read from the environment: ``AWS_ENDPOINT_URL``, ``AWS_REGION``,
    ``AWS_ACCESS_KEY_ID``, ``AWS_SECRET_ACCESS_KEY``, ``AWS_SESSION_TOKEN`` and ``AWS_ALLOW_HTTP``. All methods raise
    `NotFoundError` for a bucket that does not exist or a host that does not answer, and `ConfigError` for wrong
    credentials or missing permissions. No message contains a credential.

    Attributes
    ----------
    bucket : str
    prefix : str
        Without slashes at its ends; may be empty.

    Examples
    --------
    >>> folder = S3Folder.parse("s3://media/music/lib/")
    >>> str(folder), str(folder / "tables")
    ('s3://media/music/lib', 's3://media/music/lib/tables')
    """

    bucket: str
    prefix: str = ""

    @classmethod
    def parse(cls, uri: str) -> S3Folder:
        """Return the folder of a URI; raise `InputError` unless it is ``s3://bucket`` or ``s3://bucket/prefix``."""
        scheme = uri_scheme(uri)
        uri = re.sub(":/+", "://", uri, count=1)  # `Path` drops a slash
        if scheme != "s3":
            raise InputError(
                f"{uri!r} has the unknown scheme {scheme!r}. Give a folder, or s3://bucket/prefix"
                if scheme
                else f"{uri!r} is no s3:// address. Give s3://bucket/prefix"
            )
        bucket, _, prefix = uri.partition(":")[2].lstrip("/").partition("/")
        parts = [part for part in prefix.split("/") if part]
        if not _BUCKET.fullmatch(bucket) or any(part in (".", "..") for part in parts):
            raise InputError(
                f"{uri!r} is no valid s3:// address: a bucket has 3 to 63 lower-case letters, digits, dots or hyphens, "
                "and a prefix has no '.' or '..'. Give s3://bucket/prefix"
            )
        return cls(bucket, "/".join(parts))

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")

    def __truediv__(self, name: str) -> S3Folder:
        return S3Folder(self.bucket, f"{self.prefix}/{name}".strip("/"))

    def lance_options(self) -> dict[str, str]:
        """Return the storage options of LanceDB for this folder."""
        options = {
            "aws_region": _setting(*_REGION) or "us-east-1",
            # A single request for each object: some compatible stores do not delete in bulk.
            "aws_disable_bulk_delete": "true",
            "client_max_retries": str(_MAX_RETRIES),
            "client_retry_timeout": str(_RETRY_S),
            "connect_timeout": f"{_CONNECT_S}s",
        }
        passed = (*_CREDENTIALS, "AWS_SKIP_SIGNATURE")
        options |= {name.lower(): value for name in passed if (value := os.environ.get(name))}
        if endpoint := _setting(*_ENDPOINT):
            options |= {"aws_endpoint": endpoint, "aws_virtual_hosted_style_request": "false"}
        return options | {"allow_http": str(_allow_http(endpoint)).lower()}

    def read(self, name: str) -> bytes | None:
        """Return the content of an object, or None if there is none of this name."""
        try:
            with self._errors():
                return bytes(self._store().get(name).bytes())
        except FileNotFoundError:
            return None

    def write(self, name: str, content: bytes) -> None:
        """Create or replace an object."""
        with self._errors(missing_is_bucket=True):
            self._store().put(name, content)

    def create(self, name: str, content: bytes) -> bool:
        """Create an object and return True, or return False if there is one of this name.

        Of several processes that call this at once, exactly one creates it. Call `check_conditional_writes` first.
        """
        from obstore.exceptions import AlreadyExistsError

        try:
            with self._errors(missing_is_bucket=True):
                self._store().put(name, content, mode="create")
        except AlreadyExistsError:
            return False
        return True

    def objects(self, below: str = "") -> Iterator[StoredObject]:
        """Yield the objects of this folder and its subfolders, or those of one subfolder."""
        store = self._store()
        with self._errors(missing_is_bucket=True):
            for chunk in store.list(below or None):
                for found in chunk:
                    yield StoredObject(
                        found["path"],
                        found["size"],
                        found["last_modified"],
                        (found["e_tag"] or "").strip('"'),
                    )

    def names(self) -> list[str]:
        """Return the sorted names of the objects and folders directly below this folder."""
        with self._errors(missing_is_bucket=True):
            found = self._store().list_with_delimiter()
        paths = [*found["common_prefixes"], *(entry["path"] for entry in found["objects"])]
        return sorted(path.strip("/") for path in paths)

    def download(self, name: str, target: Path | str) -> None:
        """Copy an object to a file, atomically; raise `NotFoundError` if there is none of this name."""
        try:
            with self._errors(), replace_file(target) as file:
                for part in self._store().get(name):
                    file.write(part)
        except FileNotFoundError:
            raise NotFoundError(f"{self / name} does not exist. Check the spelling") from None

    def delete(self, names: Iterable[str]) -> None:
        """Delete objects; absent ones are no error."""
        given = list(names)
        if given:
            with self._errors(), suppress(FileNotFoundError):
                self._store().delete(given)

    def check_conditional_writes(self) -> None:
        """Raise `ConfigError` unless the store honours conditional writes, on which concurrent commits depend.

        Without them, two writers replace each other's commits, and rows are lost without an error. The answer is
        kept for the life of the process.
        """
        identity = (self, _settings())
        if identity in _proven:
            return
        probe = f".reelscore-probe-{uuid.uuid4().hex}"
        try:
            self.create(probe, b"1")
            fault = "it replaced an object that exists" if self.create(probe, b"2") else ""
        except ArtifactError as error:
            if not re.search(r"answered (4\d\d|501)\b", str(error)):
                raise
            fault = str(error).partition(" for ")[0]
        finally:
            with suppress(ReelscoreError):
                self.delete([probe])
        if fault:
            raise ConfigError(
                f"the store of {self} does not honour conditional writes (If-None-Match: *): {fault}. Two writers "
                "would lose each other's changes, so it can only be read. Use a store that does, such as Amazon S3, "
                "Cloudflare R2 or a current MinIO"
            )
        _proven.add(identity)

    def _store(self) -> S3Store:
        return _open_store(self, _settings())

    @contextmanager
    def _errors(self, *, missing_is_bucket: bool = False) -> Iterator[None]:
        """Turn errors of the store into errors for the user, without their causes, which may hold credentials."""
        from obstore.exceptions import AlreadyExistsError, BaseError

        try:
            yield
        except (ReelscoreError, AlreadyExistsError):
            raise
        except FileNotFoundError as error:
            if not missing_is_bucket and "NoSuchBucket" not in str(error):
                raise
            raise _no_bucket(self) from None
        except (BaseError, ValueError) as error:
            raise store_error(str(error), self) from None


Folder = Path | S3Folder
"""A folder on this machine or on an object store."""


def folder_of(given: Path | str) -> Folder:
    """Return the folder that a path or an ``s3://`` URI names; raise `InputError` for another URI."""
    return S3Folder.parse(str(given)) if uri_scheme(str(given)) else Path(given).expanduser()


def store_error(message: str, folder: S3Folder) -> ReelscoreError:
    """Return the error for the user that a message of an object store means.

    The message itself is not repeated: an answer to a wrong signature contains the key.
    """
    code, status = _group(r"<Code>(\w+)</Code>", message), _group(r"status(?: code)?: (\d{3})", message)
    endpoint = _setting(*_ENDPOINT)
    host = endpoint.split("@")[-1] if endpoint else f"the region {_setting(*_REGION) or 'us-east-1'} of AWS"
    if re.search(r"169\.254\.169\.254|security-credentials|providers in chain", message):
        return ConfigError(
            f"there are no credentials for {folder}. Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the "
            "environment, or AWS_SKIP_SIGNATURE=true for a public bucket"
        )
    if code == "NoSuchBucket":
        return _no_bucket(folder)
    if code in _WRONG_CREDENTIALS or status == "401" or "valid authentication" in message:
        return ConfigError(
            f"{host} rejected the credentials for {folder}{f' ({code})' if code else ''}. Check AWS_ACCESS_KEY_ID, "
            "AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN in the environment"
        )
    if status == "403":
        return ConfigError(
            f"{host} denied access to {folder}. Check the permissions of the key in AWS_ACCESS_KEY_ID for the bucket"
        )
    if code in ("PermanentRedirect", "AuthorizationHeaderMalformed") or "configured region" in message:
        return ConfigError(f"the bucket of {folder} is not in {host}. Set AWS_REGION to the bucket's region")
    if not status and re.search(r"HTTP ?error|error sending request|timed? ?out", message, re.IGNORECASE):
        return NotFoundError(
            f"{host} cannot be reached, so {folder} cannot be opened. Check the network and AWS_ENDPOINT_URL"
        )
    what = " ".join(part for part in (status, code) if part) or "an error without a code"
    return ArtifactError(
        f"{host} answered {what} for {folder}. Run this again; if it recurs, see the store's log"
    )


def _no_bucket(folder: S3Folder) -> NotFoundError:
    return NotFoundError(
        f"there is no bucket {folder.bucket!r}, so {folder} cannot be opened. Check its name and AWS_ENDPOINT_URL, or "
        "create the bucket"
    )


def _group(pattern: str, text: str) -> str:
    found = re.search(pattern, text)
    return found[1] if found else ""


def _setting(*names: str) -> str:
    """Return the first of several environment variables that is set."""
    return next((value for name in names if (value := os.environ.get(name))), "")


def _settings() -> tuple[str, ...]:
    """Return the environment that a store is opened with."""
    return (_setting(*_ENDPOINT), _setting(*_REGION), *(os.environ.get(name, "") for name in _CREDENTIALS))


def _allow_http(endpoint: str) -> bool:
    return endpoint.startswith("http://") or _setting("AWS_ALLOW_HTTP").lower() in ("true", "1", "yes")


@lru_cache(maxsize=32)
def _open_store(folder: S3Folder, settings: tuple[str, ...]) -> S3Store:
    try:
        from obstore.store import S3Store
    except ModuleNotFoundError:
        raise missing_extra(f"{folder} needs obstore", "s3") from None
    endpoint, region, *_ = settings
    if endpoint and not re.match(r"https?://[^/]", endpoint):
        raise ConfigError(
            f"AWS_ENDPOINT_URL is {endpoint!r}. Give an address such as https://storage.example.com"
        )
    config: dict[str, Any] = {"region": region or "us-east-1", "disable_bulk_delete": True}
    if endpoint:
        config |= {"endpoint": endpoint, "virtual_hosted_style_request": False}
    try:
        return S3Store(
            folder.bucket,
            prefix=folder.prefix or None,
            config=config,  # type: ignore[arg-type]  # the other settings are read from the environment
            client_options={
                "allow_http": _allow_http(endpoint),
                "connect_timeout": timedelta(seconds=_CONNECT_S),
                "read_timeout": timedelta(seconds=30),
                "timeout": timedelta(hours=1),  # of a whole download
            },
            retry_config={
                "max_retries": _MAX_RETRIES,
                "retry_timeout": timedelta(seconds=_RETRY_S),
                "backoff": {
                    "init_backoff": timedelta(seconds=0.1),
                    "max_backoff": timedelta(seconds=2),
                    "base": 2,
                },
            },
        )
    except Exception as error:
        raise store_error(str(error), folder) from None
