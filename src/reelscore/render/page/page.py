"""HTML of the page: one file without requests to any host."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Callable
from html import escape
from importlib.resources import files
from pathlib import Path

from reelscore import __version__
from reelscore.encoders.cache import FeatureCache
from reelscore.matching.match import Match
from reelscore.matching.report import MatchReport
from reelscore.media.writer import output_file

from .content import NUM_BARS, PageContent, PageTrack, PageVideo, page_content

SUFFIX = ".html"
_HEIGHT = 40
"""Height of a waveform, in units of its view box."""
_FITS = {"good": "good fit", "fair": "fair fit", "poor": "poor fit"}


def write_page(
    out: Path | str,
    video: Path | str,
    report: MatchReport,
    *,
    cache: FeatureCache | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Write the page of a video and its matches; an existing file is replaced.

    Parameters
    ----------
    out : Path or str
    video, report, cache, progress
        As for `page_content`.

    Raises
    ------
    InputError
        If the report has no matches.
    NotFoundError, MediaError
        If the video cannot be read, or the page cannot be written.
    """
    html = page_html(page_content(video, report, cache=cache, progress=progress))
    with output_file(out) as file:
        file.write(html.encode())


def page_html(page: PageContent) -> str:
    """Return the page as HTML; all texts are escaped, and nothing but its own script and style may run."""
    folder = files("reelscore.render.page")
    css, js = (folder.joinpath(name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    policy = (
        f"default-src 'none'; img-src data:; media-src blob:; style-src {_hash(css)}; script-src {_hash(js)}; "
        "base-uri 'none'; form-action 'none'"
    )
    video = page.video
    title = f"Music for {_text(video.name)}"
    query = f'<p class="query">and “{_text(page.query)}”</p>' if page.query else ""
    notes = "".join(f"<li>{_text(note)}</li>" for note in page.notes)
    rows = "".join(_track(track, number, video.length_s) for number, track in enumerate(page.tracks))
    count = len(page.tracks)
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>{title}</title>
<link rel="icon" href="data:,">
<style>{css}</style>
</head>
<body>
<header>
<div><p class="eyebrow">Music for</p>
<h1>{_text(video.name)}</h1>{query}</div>
<dl class="facts">
<div><dt>Length</dt><dd>{_time(video.length_s)}</dd></div>
<div><dt>Cuts</dt><dd>{len(video.cuts_s)}</dd></div>
<div><dt>Tracks</dt><dd>{count}</dd></div>
</dl>
</header>
<main>
<section class="player" aria-label="Player">
{_player(video)}
</section>
<section class="tracks">
<h2 id="tracks">Tracks, best first</h2>
{f'<ul class="notes">{notes}</ul>' if notes else ""}
<ol role="radiogroup" aria-labelledby="tracks">
{rows}</ol>
</section>
</main>
<footer>Made with reelscore {__version__}. Excerpts end after {_time(video.preview_s)} and have the same loudness.
</footer>
<p id="status" class="hidden" role="status"></p>
<script type="application/json" id="content">{_json(page)}</script>
<script>{js}</script>
</body>
</html>
"""


def _player(video: PageVideo) -> str:
    width, height = video.size_px
    pictures = "".join(
        f'<img src="data:image/jpeg;base64,{_base64(jpeg)}" alt="" width="{width}" height="{height}">'
        for jpeg in video.thumbnails
    )
    cuts = "".join(
        f'<line x1="{_share(at, video.length_s)}" x2="{_share(at, video.length_s)}" y1="0" y2="100%"/>'
        for at in video.cuts_s
    )
    rest = video.preview_s / video.length_s
    beyond = (
        f'<rect x="{100 * rest:.2f}%" width="{100 - 100 * rest:.2f}%" height="100%"/>' if rest < 0.999 else ""
    )
    shape = " upright" if height > width else ""
    return f"""<div class="stage{shape}"><video muted playsinline tabindex="-1" aria-hidden="true"></video>
<button class="big" type="button" tabindex="-1" aria-hidden="true">{_PLAY}</button></div>
<div class="strip" role="slider" tabindex="0" aria-label="Position in the video" aria-valuemin="0"
 aria-valuemax="{video.preview_s:.2f}" aria-valuenow="0" aria-valuetext="0:00 of {_time(video.preview_s)}">
<div class="pictures">{pictures}</div>
<svg class="cuts" aria-hidden="true">{beyond}{cuts}</svg>
<i class="head"></i></div>
<div class="controls">
<button class="play" type="button" aria-label="Play">{_PLAY}{_PAUSE}</button>
<p class="now"><strong></strong><span></span></p>
<p class="clock"><b>0:00</b> / {_time(video.preview_s)}</p>
</div>
<ul class="keys" aria-label="Keys"><li><kbd>Space</kbd> play</li>
<li><kbd>↑</kbd> <kbd>↓</kbd> <kbd>1</kbd>–<kbd>9</kbd> switch the track</li>
<li><kbd>←</kbd> <kbd>→</kbd> move by a second</li></ul>
<noscript><p>The previews need JavaScript, which this browser does not run.</p></noscript>"""


_PLAY = '<svg class="icon" viewBox="0 0 24 24" aria-hidden="true"><path d="M7 4.5v15l13-7.5z"/></svg>'
_PAUSE = '<svg class="icon" viewBox="0 0 24 24" aria-hidden="true"><path d="M6 5h4.5v14H6zM13.5 5H18v14h-4.5z"/></svg>'


def _track(track: PageTrack, number: int, video_s: float) -> str:
    match = track.match
    name, artist = match.track.title or Path(match.track.path).name, match.track.artist
    source = " · ".join(filter(None, [artist, Path(match.track.path).name]))
    missing_s = match.start_s + video_s - match.track.duration_s
    end_s = min(match.start_s + video_s, match.track.duration_s)
    moment = f"from {_time(match.start_s)} to {_time(end_s)}"
    ends = f"ends {missing_s:.0f} s before the video" if missing_s >= 0.5 else ""
    tempo = "" if match.bpm is None else f"{match.bpm:.0f} bpm"
    beats = match.moment
    cuts = f"{beats.num_on_beat} of {beats.num_cuts} cuts on the beat" if beats.is_on_beat else ""
    details = " · ".join(filter(None, [moment, ends, tempo, cuts, _FITS.get(match.fit, "")]))
    said = f"{match.rank}. {name}{f', {artist}' if artist else ''}, {details}"
    reasons = "".join(f"<li>{_text(reason)}</li>" for reason in match.reasons)
    reasons += "".join(f'<li class="but">but {_text(reason)}</li>' for reason in match.violations)
    parts = "".join(f"<li>{_text(part)}</li>" for part in _score_parts(match))
    error = f'<p class="error">Cannot be played: {_text(track.error)}</p>' if track.error else ""
    wave = _waveform(track.levels, match.start_s, end_s, match.track.duration_s) if track.levels else ""
    return f"""<li><label>
<input type="radio" name="track" value="{number}" aria-label="{_text(said)}"{" checked" if number == 0 else ""}>
<span class="rank" aria-hidden="true">{match.rank}</span>
<span class="title"><strong>{_text(name)}</strong><span>{_text(source)}</span></span>
<span class="length">{_time(match.track.duration_s)}</span>
{wave}<span class="details">{_text(details)}</span>
{f'<ul class="reasons" aria-label="Reasons">{reasons}</ul>' if reasons else ""}
{f'<ul class="parts" aria-label="Parts of the score">{parts}</ul>' if parts else ""}{error}
</label></li>
"""


def _score_parts(match: Match) -> list[str]:
    """Return what the score is made of; the line below the waveform has the moment and the cuts."""
    return [
        f"the moment: {reason.value:.2f}" if reason.kind == "moment" else reason.text
        for reason in match.explanation
        if reason.kind not in ("terms", "cuts", "length") and reason.value is not None
    ]


def _waveform(levels: tuple[float, ...], start_s: float, end_s: float, length_s: float) -> str:
    """Return a waveform whose moment is a second path, so that it can have another colour."""
    low, high = (min(NUM_BARS, max(0, round(NUM_BARS * at / length_s))) for at in (start_s, end_s))
    high = max(high, low + 1)
    inside: list[str] = []
    outside: list[str] = []
    for number, level in enumerate(levels):
        half = max(1.0, level * (_HEIGHT / 2 - 1))
        bar = f"M{number + 0.5:g} {_HEIGHT / 2 - half:.1f}v{2 * half:.1f}"
        (inside if low <= number < high else outside).append(bar)
    return (
        f'<span class="wave" data-start="{start_s / length_s:.5f}" aria-hidden="true">'
        f'<svg viewBox="0 0 {NUM_BARS} {_HEIGHT}" preserveAspectRatio="none">'
        f'<path d="{"".join(outside)}"/>'
        f'<path class="moment" d="{"".join(inside)}"/></svg><i class="head"></i></span>\n'
    )


def _json(page: PageContent) -> str:
    """Return the data of the script as JSON that cannot end its element."""
    content = {
        "preview": _base64(page.video.preview),
        "preview_s": round(page.video.preview_s, 4),
        "length_s": round(page.video.length_s, 4),
        "tracks": [
            {
                "title": track.match.track.title or Path(track.match.track.path).name,
                "artist": track.match.track.artist,
                "start_s": round(track.match.start_s, 4),
                "length_s": round(track.match.track.duration_s, 4),
                "excerpt": _base64(track.excerpt),
            }
            for track in page.tracks
        ],
    }
    return json.dumps(content).replace("<", "\\u003c").replace("&", "\\u0026")


def _text(text: str) -> str:
    """Escape a text for HTML; what is no character, such as a byte of a file name, becomes a question mark."""
    return escape("".join(c if c.isprintable() else " " for c in text.encode("utf-8", "replace").decode()))


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _hash(text: str) -> str:
    return f"'sha256-{_base64(hashlib.sha256(text.encode()).digest())}'"


def _share(value: float, whole: float) -> str:
    return f"{100 * value / whole:.2f}%"


def _time(seconds: float) -> str:
    """Format seconds as m:ss, or h:mm:ss."""
    whole = int(seconds)
    hours, rest = divmod(whole, 3600)
    return f"{hours}:{rest // 60:02d}:{rest % 60:02d}" if hours else f"{rest // 60}:{rest % 60:02d}"
