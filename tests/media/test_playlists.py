"""Tests that a media file cannot make libav open other files, addresses, or pictures of any size."""

from __future__ import annotations

import http.server
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from reelscore.errors import MediaError
from reelscore.media.audio import audio_blocks
from reelscore.media.container import MAX_PIXELS
from reelscore.media.frames import frames_at
from reelscore.media.probe import probe
from reelscore.media.subtitles import read_subtitles

READERS = pytest.mark.parametrize(
    "read",
    [
        probe,
        lambda path: list(frames_at(path, [0.0])),
        lambda path: list(audio_blocks(path, rate_hz=8000)),
        read_subtitles,
    ],
    ids=["probe", "frames", "sound", "subtitles"],
)

PLAYLISTS = {
    "hls": "#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{target}\n#EXT-X-ENDLIST\n",
    "ffconcat": "ffconcat version 1.0\nfile {target}\n",
    "dash": '<MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static" mediaPresentationDuration="PT1S"><Period>'
    '<AdaptationSet mimeType="video/mp4"><Representation id="a" bandwidth="1"><BaseURL>{target}</BaseURL>'
    "</Representation></AdaptationSet></Period></MPD>",
    "sdp": "v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 5004 RTP/AVP 96\n"
    "a=rtpmap:96 H264/90000\na=control:{target}\n",
}
NAMES = {"hls": "list.m3u8", "ffconcat": "list.ffconcat", "dash": "list.mpd", "sdp": "list.sdp"}


@pytest.fixture
def server() -> Iterator[tuple[str, list[str]]]:
    """Serve on loopback and record the paths that are requested."""
    requests: list[str] = []

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            requests.append(self.path)
            self.send_error(404)

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        threading.Thread(target=listening.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{listening.server_port}", requests
        listening.shutdown()


@READERS
@pytest.mark.parametrize("kind", PLAYLISTS)
@pytest.mark.parametrize("disguised", [pytest.param(False, marks=pytest.mark.slow), True])
def test_a_playlist_reaches_no_address(
    read: Callable[[Path], object],
    kind: str,
    disguised: bool,
    server: tuple[str, list[str]],
    tmp_path: Path,
) -> None:
    address, requests = server
    path = tmp_path / ("film.mp4" if disguised else NAMES[kind])
    path.write_text(PLAYLISTS[kind].format(target=f"{address}/secret.ts"))
    with pytest.raises(MediaError, match="expected a video or audio file"):
        read(path)
    assert requests == []


@READERS
@pytest.mark.parametrize("kind", PLAYLISTS)
def test_a_playlist_opens_no_neighbour(read: Callable[[Path], object], kind: str, tmp_path: Path) -> None:
    neighbour = tmp_path / "secret.ts"
    os.mkfifo(neighbour)
    opened, finished = threading.Event(), threading.Event()

    def watch() -> None:
        # A pipe can be opened for writing only while a reader has it open for reading.
        while not finished.is_set():
            try:
                os.close(os.open(neighbour, os.O_WRONLY | os.O_NONBLOCK))
                opened.set()
            except OSError:
                time.sleep(0.001)

    thread = threading.Thread(target=watch, daemon=True)
    thread.start()
    path = tmp_path / NAMES[kind]
    path.write_text(PLAYLISTS[kind].format(target=neighbour.name))
    with pytest.raises(MediaError):
        read(path)
    finished.set()
    thread.join(60)
    assert not opened.is_set()


def test_a_picture_beyond_the_limit_is_not_decoded(tmp_path: Path) -> None:
    path = tmp_path / "huge.mov"
    side = 8200
    assert side * side > MAX_PIXELS
    with av.open(str(path), "w") as container:
        stream = container.add_stream("png", rate=1)
        stream.width, stream.height, stream.pix_fmt = side, side, "gray"
        frame = av.VideoFrame.from_ndarray(np.zeros((side, side), np.uint8), format="gray")
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    for read in (probe, lambda file: list(frames_at(file, [0.0]))):
        with pytest.raises(MediaError):
            read(path)
