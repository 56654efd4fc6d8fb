"""Keys and roles, other sites, headers, large bodies, slow clients, paths."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from reelscore import Library
from reelscore.errors import ConfigError, NotFoundError
from reelscore.service.keys import Keys, add_key
from reelscore.service.middleware import MOST_JSON_BYTES
from reelscore.service.settings import Settings
from support.serving import PART, TUS, Running, running


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    file = tmp_path_factory.mktemp("keys") / "keys.toml"
    names = ("root:admin", "anna:editor", "bert:editor", "carl:reader")
    return file, {name.partition(":")[0]: add_key(file, name) for name in names}


@pytest.fixture(scope="module")
def guarded(
    tmp_path_factory: pytest.TempPathFactory, light_library: Library, keys: tuple[Path, dict[str, str]]
) -> Iterator[Running]:
    """A service with keys and short limits."""
    settings = Settings(
        data=tmp_path_factory.mktemp("guarded"),
        library=light_library.path,
        keys=keys[0],
        workers=1,
        stall_s=1.0,
    )
    with running(settings) as served:
        yield served


def bearer(keys: tuple[Path, dict[str, str]], name: str) -> dict[str, str]:
    return {"authorization": f"Bearer {keys[1][name]}"}


def test_only_hashes_of_keys_are_stored(keys: tuple[Path, dict[str, str]]) -> None:
    file, secret = keys
    text = file.read_text()
    assert not any(key in text or key[3:] in text for key in secret.values())
    assert file.stat().st_mode & 0o077 == 0
    loaded = Keys(file)
    assert {loaded.client(key).name for key in secret.values()} == set(secret)  # type: ignore[union-attr]
    assert loaded.client("rs_wrong") is None


@pytest.mark.parametrize("given", ["anna", "anna:boss", ":admin", "a b:reader", "root:admin"])
def test_a_key_that_cannot_be_added(keys: tuple[Path, dict[str, str]], given: str) -> None:
    before = keys[0].read_bytes()
    with pytest.raises(ConfigError):
        add_key(keys[0], given)
    assert keys[0].read_bytes() == before


def test_a_file_of_keys_that_is_damaged(tmp_path: Path) -> None:
    file = tmp_path / "keys.toml"
    with pytest.raises(NotFoundError, match="--new-key"):
        Keys(file)
    for text in ("", "x", '["anna"]\nrole = "admin"\n', '["anna"]\nrole = "boss"\nblake2b = "00"\n'):
        file.write_text(text)
        with pytest.raises(ConfigError):
            Keys(file)


def test_the_service_listens_elsewhere_only_with_keys(tmp_path: Path) -> None:
    for host in ("0.0.0.0", "::", "192.168.1.5", "example.org"):
        with pytest.raises(ConfigError, match="--new-key"):
            Settings(data=tmp_path, host=host).check()
    for host in ("127.0.0.1", "127.3.2.1", "::1", "localhost"):
        Settings(data=tmp_path, host=host).check()


@pytest.mark.parametrize("header", [None, "Bearer", "Bearer rs_wrong", "Basic cm9vdDpyb290", "Bearer \u00e9"])
def test_without_a_valid_key_nothing_is_shown(guarded: Running, header: str | None) -> None:
    headers = {} if header is None else {"authorization": header.encode("latin-1")}
    for at in (
        "/v1/library",
        "/v1/tracks",
        "/v1/videos",
        "/v1/jobs",
        "/v1/events",
        "/metrics",
        "/v1/settings",
    ):
        answer = guarded.http.get(at, headers=headers)
        assert answer.status_code == 401, at
        assert answer.headers["www-authenticate"] == "Bearer"
    assert guarded.http.get("/healthz", headers=headers).status_code == 200


def test_roles(guarded: Running, keys: tuple[Path, dict[str, str]], film: bytes) -> None:
    def status(name: str, method: str, at: str, **arguments: object) -> int:
        return guarded.http.request(method, at, headers=bearer(keys, name), **arguments).status_code  # type: ignore[arg-type]

    assert [status(name, "GET", "/v1/tracks") for name in keys[1]] == [200, 200, 200, 200]
    assert [status(name, "GET", "/v1/videos") for name in keys[1]] == [200, 200, 200, 403]
    paths = {"paths": ["/etc"]}
    assert [status(name, "POST", "/v1/tracks", json=paths) for name in keys[1]] == [403] * 4
    assert [status(name, "DELETE", "/v1/tracks/00") for name in keys[1]] == [404, 403, 403, 403]
    assert [status(name, "POST", "/v1/library/reload") for name in keys[1]] == [200, 403, 403, 403]


def test_videos_and_jobs_belong_to_a_key(
    guarded: Running, keys: tuple[Path, dict[str, str]], film: bytes
) -> None:
    at = guarded.begin(film, "private.mp4", **bearer(keys, "anna"))
    assert guarded.append(at, film, **bearer(keys, "anna")).status_code == 204
    id = at.rpartition("/")[2]
    other, admin = bearer(keys, "bert"), bearer(keys, "root")
    assert guarded.http.get(at, headers=other).status_code == 404
    assert guarded.http.get(f"{at}/media", headers=other).status_code == 404
    assert guarded.http.delete(at, headers=other).status_code == 404
    assert guarded.http.post("/v1/matches", json={"video": id}, headers=other).status_code == 404
    assert guarded.http.get("/v1/videos", headers=other).json()["videos"] == []
    assert guarded.http.get("/v1/jobs", headers=other).json()["jobs"] == []
    seen = guarded.http.get("/v1/events", params={"once": True}, headers={**other, "last-event-id": "0"}).text
    assert "private.mp4" not in seen
    assert id not in seen
    assert guarded.http.get(at, headers=admin).status_code == 200
    assert guarded.http.get(at, headers=bearer(keys, "anna")).status_code == 200


def test_a_browser_signs_in_with_a_cookie(guarded: Running, keys: tuple[Path, dict[str, str]]) -> None:
    assert guarded.http.post("/v1/session", json={"key": "rs_wrong"}).status_code == 401
    answer = guarded.http.post("/v1/session", json={"key": keys[1]["carl"]})
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    guarded.http.cookies.clear()
    signed = {"cookie": cookie.partition(";")[0]}
    assert guarded.http.get("/v1/session", headers=signed).json() == {
        "name": "carl",
        "role": "reader",
        "keys": True,
    }


def test_pages_of_other_sites_are_not_served(served: Running) -> None:
    for headers in ({"origin": "http://evil.example"}, {"sec-fetch-site": "cross-site"}, {"origin": "null"}):
        answer = served.http.post("/v1/matches", json={"text": "calm"}, headers=headers)
        assert answer.status_code == 403, headers
    preflight = {"origin": "http://evil.example", "access-control-request-method": "POST"}
    answer = served.http.options("/v1/matches", headers=preflight)
    assert not any(name.startswith("access-control") for name in answer.headers)
    own = {"origin": served.url, "sec-fetch-site": "same-origin"}
    assert served.http.post("/v1/matches", json={}, headers=own).status_code == 422


@pytest.mark.parametrize(
    "host", ["evil.example", "evil.example:8000", "127.0.0.1.evil.example", "", "[", "a:b:c"]
)
def test_other_names_of_this_machine_are_rejected_without_keys(served: Running, host: str) -> None:
    assert served.http.get("/v1/library", headers={"host": host}).status_code in (400, 421)


def test_every_answer_has_the_security_headers(served: Running, ready: str, key: str) -> None:
    for at in (
        "/",
        "/nope",
        "/v1/library",
        "/v1/none",
        f"/v1/videos/{ready}/media",
        f"/v1/tracks/{key}/audio",
    ):
        headers = served.http.get(at).headers
        policy = headers["content-security-policy"]
        assert "unsafe" not in policy
        assert "default-src 'none'" in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert "server" not in headers


def test_a_script_in_a_name_or_title_stays_text(served: Running, film: bytes) -> None:
    video = served.upload(film, "<img src=x onerror=alert(1)>.html")
    assert "<" not in video["name"]
    media = served.http.get(f"/v1/videos/{video['id']}/media")
    assert media.headers["content-type"] == "application/octet-stream"
    assert served.http.get("/v1/videos").headers["content-type"] == "application/json"


def test_a_name_cannot_add_headers(served: Running, film: bytes, key: str) -> None:
    video = served.upload(film, 'a\r\nx-evil: 1"; filename=b.mp4')
    body = {"video": video["id"], "track": key, "format": "json"}
    at = served.http.post("/v1/renders", json=body).headers["location"]
    served.settled(at)
    answer = served.http.get(f"{at}/file")
    assert "x-evil" not in answer.headers
    assert answer.headers["content-disposition"].startswith("attachment; filename*=utf-8''")


@pytest.mark.parametrize(
    "at",
    [
        "/../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "/..%2f..%2fetc%2fpasswd",
        "/%00",
        "/v1/tracks/..%2f..%2fx",
    ],
)
def test_no_file_outside_the_page_is_served(served: Running, at: str) -> None:
    host, port = served.url.removeprefix("http://").split(":")
    answer = raw(host, int(port), f"GET {at} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n".encode())
    assert answer.split(b" ")[1] in (b"404", b"422", b"400")
    assert b"root:" not in answer


def test_a_large_body_is_rejected(served: Running) -> None:
    body = b'{"text": "' + b"x" * MOST_JSON_BYTES + b'"}'
    headers = {"content-type": "application/json"}
    assert served.http.post("/v1/matches", content=body, headers=headers).status_code == 413

    def parts() -> Iterator[bytes]:
        for _ in range(40):
            yield b"x" * (1 << 16)

    assert served.http.post("/v1/matches", content=parts(), headers=headers).status_code == 413
    deep = b'{"text":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    assert served.http.post("/v1/matches", content=deep, headers=headers).status_code == 400


def test_endless_headers_are_rejected(served: Running) -> None:
    host, port = served.url.removeprefix("http://").split(":")
    head = f"GET /healthz HTTP/1.1\r\nHost: {host}\r\n".encode() + b"X-Long: " + b"a" * (1 << 20)
    assert raw(host, int(port), head).split(b" ")[1] == b"400"


def test_a_client_that_stops_sending_is_dropped_and_can_continue(
    guarded: Running, keys: tuple[Path, dict[str, str]], film: bytes
) -> None:
    at = guarded.begin(film, **bearer(keys, "root"))
    host, port = guarded.url.removeprefix("http://").split(":")
    lines = {
        **TUS,
        **PART,
        **bearer(keys, "root"),
        "upload-offset": "0",
        "content-length": str(len(film)),
        "host": host,
    }
    head = (
        f"PATCH {at} HTTP/1.1\r\n" + "".join(f"{name}: {value}\r\n" for name, value in lines.items()) + "\r\n"
    )
    begun = time.monotonic()
    answer = raw(host, int(port), head.encode() + film[:500])
    assert answer.split(b" ")[1] == b"408"
    assert 0.9 < time.monotonic() - begun < 5
    assert guarded.http.head(at, headers=bearer(keys, "root")).headers["upload-offset"] == "500"
    assert guarded.append(at, film[500:], 500, **bearer(keys, "root")).status_code == 204


@pytest.mark.parametrize("head", [b"", b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: "])
def test_a_client_whose_headers_do_not_end_is_dropped(guarded: Running, head: bytes) -> None:
    host, port = guarded.url.removeprefix("http://").split(":")
    begun = time.monotonic()
    assert raw(host, int(port), head) == b""
    assert 0.9 < time.monotonic() - begun < 5


def test_405_names_the_methods(served: Running, ready: str) -> None:
    expected = {
        "/v1/videos": "GET, HEAD, OPTIONS, POST",
        f"/v1/videos/{ready}": "DELETE, GET, HEAD, PATCH",
        "/v1/matches": "POST",
        "/v1/library": "GET, HEAD",
        "/healthz": "GET, HEAD",
        "/": "GET, HEAD",
    }
    for at, methods in expected.items():
        answer = served.http.put(at)
        assert (answer.status_code, answer.headers["allow"]) == (405, methods), at
        assert answer.headers["content-type"] == "application/problem+json"


def raw(host: str, port: int, content: bytes) -> bytes:
    """Send bytes and return the whole answer."""
    with socket.create_connection((host, port), timeout=20) as connection:
        connection.sendall(content)
        answer = b""
        try:
            while part := connection.recv(65_536):
                answer += part
        except ConnectionResetError:
            pass
        return answer
