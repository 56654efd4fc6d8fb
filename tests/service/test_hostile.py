"""Hostile uploads: each is rejected or fails with a reason, and the server goes on."""

from __future__ import annotations

import io
import random
import socket
import threading
import time
import zlib
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from support import worlds
from support.serving import PART, TUS, ServerProcess


def mutants(film: bytes, count: int) -> Iterator[tuple[str, bytes]]:
    """Yield truncated and bit-flipped films."""
    rng = random.Random(5)
    for number in range(count):
        yield f"cut {number}.mp4", film[: rng.randrange(1, len(film))]
        flipped = bytearray(film)
        for _ in range(rng.choice((1, 4, 64))):
            flipped[rng.randrange(len(flipped))] ^= 1 << rng.randrange(8)
        yield f"flipped {number}.mp4", bytes(flipped)


def playlists(secret: Path, port: int) -> Iterator[tuple[str, bytes]]:
    """Yield playlists and files that name another file or host."""
    targets = (str(secret), f"http://127.0.0.1:{port}/a.mp4", f"file://{secret}", f"tcp://127.0.0.1:{port}")
    for number, target in enumerate(targets):
        for suffix in ("m3u8", "mp4", "mkv", "ffconcat"):
            hls = f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{target}\n#EXT-X-ENDLIST\n"
            yield f"hls {number}.{suffix}", hls.encode()
            yield f"list {number}.{suffix}", f"ffconcat version 1.0\nfile {target}\n".encode()


def odd_files() -> Iterator[tuple[str, bytes]]:
    """Yield files of other types, huge pictures and long silence."""
    yield "page.mp4", b"<html><script>alert(1)</script></html>"
    yield "program.mp4", b"\x7fELF" + bytes(1000)
    yield "zeros.mp4", bytes(100_000)
    yield "noise.mp4", random.Random(1).randbytes(100_000)
    yield "bomb.mp4", zlib.compress(bytes(50 << 20))
    picture = io.BytesIO()
    Image.new("L", (16_000, 16_000)).save(picture, "PNG")
    yield "huge.png", picture.getvalue()
    yield "huge.gif", gif(16_000)
    yield "silence.mp4", silence(10 * 3600)


def gif(size: int) -> bytes:
    content = io.BytesIO()
    Image.new("P", (size, size)).save(content, "GIF")
    return content.getvalue()


def silence(seconds: int) -> bytes:
    """Return a film of one picture and hours of silence: one Opus packet of 120 ms, again and again."""
    with av.open(io.BytesIO(), "w", format="ogg") as container:
        encoder = container.add_stream(
            "libopus", rate=48_000, layout="mono", options={"frame_duration": "120"}
        )
        packets = []
        for start in range(0, 48_000, 5760):
            frame = av.AudioFrame.from_ndarray(np.zeros((1, 5760), np.float32), format="flt", layout="mono")
            frame.sample_rate, frame.pts = 48_000, start
            packets += encoder.encode(frame)
        header, content = encoder.codec_context.extradata, bytes(packets[-1])
    file = io.BytesIO()
    with av.open(file, "w", format="matroska") as container:
        picture = container.add_stream("mjpeg", rate=1)
        picture.width, picture.height, picture.pix_fmt = 64, 48, "yuvj420p"
        sound = container.add_stream("libopus", rate=48_000, layout="mono")
        sound.codec_context.extradata = header
        black = av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8)).reformat(format="yuvj420p")
        for packet in (*picture.encode(black), *picture.encode(None)):
            container.mux(packet)
        for number in range(seconds * 1000 // 120):
            packet = av.Packet(content)
            packet.stream, packet.time_base = sound, Fraction(1, 1000)
            packet.pts = packet.dts = 120 * number
            container.mux(packet)
    return file.getvalue()


def memory_mb(pid: int) -> int:
    """Return the memory that a process has allocated, without mapped files: parts of libraries come and go."""
    text = Path(f"/proc/{pid}/status").read_text()
    return int(text.split("RssAnon:")[1].split()[0]) // 1024


@pytest.mark.slow
@pytest.mark.parametrize("num_mutants", [8, pytest.param(80, marks=pytest.mark.long)])
def test_hostile_uploads(tmp_path: Path, num_mutants: int) -> None:
    """Upload hostile files; a listener and a secret file notice whether any is followed."""
    film = worlds.finished(tmp_path / "film.mp4", i=3).read_bytes()
    secret = tmp_path / "secret.mp4"
    secret.write_bytes(film)
    worlds.songs(tmp_path / "music", 1)
    listener = socket.create_server(("127.0.0.1", 0))
    listener.settimeout(0.2)
    visits: list[object] = []
    stop = threading.Event()

    def listen() -> None:
        while not stop.is_set():
            try:
                visits.append(listener.accept()[1])
            except TimeoutError:
                continue

    watcher = threading.Thread(target=listen)
    watcher.start()
    server = ServerProcess(
        "--music", tmp_path / "music", "--data", tmp_path / "data", cache=tmp_path / "cache"
    )
    try:
        good = upload(server, "good.mp4", film)
        assert settled(server, good)["state"] == "ready"
        before = memory_mb(server.pid)
        files = [*mutants(film, num_mutants), *playlists(secret, listener.getsockname()[1]), *odd_files()]
        assert len(files) >= 2 * num_mutants + 35
        states: dict[str, int] = {}
        for name, content in files:
            at = upload(server, name, content)
            video = settled(server, at)
            states[video["state"]] = states.get(video["state"], 0) + 1
            if video["state"] == "failed":
                assert video["reason"], name
                assert str(tmp_path) not in video["reason"], video["reason"]
            else:
                # A damaged film may still be one, and so is silence; a playlist or a page is not.
                assert name.endswith(".mp4"), name
                assert name.split()[0] in ("cut", "flipped", "silence.mp4"), name
            assert server.http.delete(at).status_code == 204
        for length in ("-1", "-999999999999", "1e9", "0x10", ""):
            assert server.http.post("/v1/videos", headers={**TUS, "upload-length": length}).status_code in (
                400,
                422,
            )
        assert server.is_alive
        assert server.http.get("/healthz").status_code == 200
        assert states["failed"] > num_mutants, states
        assert memory_mb(server.pid) < before + 50
        assert settled(server, upload(server, "again.mp4", film))["state"] == "ready"
    finally:
        stop.set()
        watcher.join()
        listener.close()
        assert server.stop() == 0
    assert visits == []


def upload(server: ServerProcess, name: str, content: bytes) -> str:
    import base64

    encoded = base64.b64encode(name.encode()).decode()
    headers = {**TUS, "upload-length": str(len(content)), "upload-metadata": f"filename {encoded}"}
    answer = server.http.post("/v1/videos", headers=headers)
    assert answer.status_code == 201, answer.text
    at = str(answer.headers["location"])
    answer = server.http.patch(at, headers={**TUS, **PART, "upload-offset": "0"}, content=content)
    assert answer.status_code == 204, answer.text
    return at


def settled(server: ServerProcess, at: str) -> dict[str, str]:
    end = time.monotonic() + 120
    while time.monotonic() < end:
        video: dict[str, str] = server.http.get(at).json()
        if video["state"] in ("ready", "failed"):
            return video
        time.sleep(0.1)
    raise AssertionError(f"{at} does not end")
