"""HTML page of the demo, self-contained except for the media files."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Cell:
    """A value with its 95% interval (None if exact), printed multiplied by `scale`."""

    value: float
    ends: tuple[float, float] | None = None
    scale: float = 100.0

    def __str__(self) -> str:
        return f"{self.value * self.scale:.{self.decimals}f}"

    @property
    def decimals(self) -> int:
        """Number of decimals: one for percentages, else two."""
        return 1 if self.scale == 100 else 2

    @property
    def interval(self) -> str:
        """The interval as ``low–high``; empty for an exact value."""
        if self.ends is None:
            return ""
        low, high = (f"{end * self.scale:.{self.decimals}f}" for end in self.ends)
        return f"{low}–{high}"


@dataclass(frozen=True, slots=True)
class Row:
    """A method in the table; a cell is None if the measure does not apply."""

    name: str
    note: str
    cells: tuple[Cell | None, ...]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A ranked track; `audio` is relative to the page, `compatibility` is the ground truth."""

    rank: int
    title: str
    audio: str
    mood: str
    score: float
    start_s: float
    compatibility: float
    suitable: bool


@dataclass(frozen=True, slots=True)
class MatchedVideo:
    """An unseen video with its best track; `video` is relative to the page."""

    title: str
    video: str
    mood: str
    num_suitable: int
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """Content of the page.

    Attributes
    ----------
    lead : str
        Introduction.
    tiles : sequence of (str, str, str)
        Headline figures: value, label and values for comparison.
    videos : sequence of MatchedVideo
    columns : sequence of str
        Headings of the table's measures.
    rows : sequence of Row
    caption : str
        Explanation of the measures.
    discussion : sequence of str
        What the figures show, one paragraph each.
    curves, maps : sequence of str
        SVG images.
    curves_caption, maps_caption : str
    commands : str
        Next commands for the reader's own files.
    about : str
        Seed, versions and durations.
    """

    lead: str
    tiles: Sequence[tuple[str, str, str]]
    videos: Sequence[MatchedVideo]
    columns: Sequence[str]
    rows: Sequence[Row]
    caption: str
    discussion: Sequence[str]
    curves: Sequence[str]
    curves_caption: str
    maps: Sequence[str]
    maps_caption: str
    commands: str
    about: str


def page_html(page: Page) -> str:
    """Return the page as HTML; all texts are escaped, SVG images are inserted unchanged."""
    css = files("reelscore.demo.report").joinpath("page.css").read_text(encoding="utf-8")
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>reelscore demo</title>
<link rel="icon" href="data:,">
<style>
{css}</style>
</head>
<body>
<main>
<header>
<p class="brand">reelscore <span>demo</span></p>
<h1>Find music for a video</h1>
<p class="lead">{escape(page.lead)}</p>
<dl class="tiles">
{"".join(map(_tile, page.tiles))}</dl>
</header>

<section id="results">
<h2>Unseen videos with their best tracks</h2>
<p>Play a video to hear it with its best track, or play the five best tracks from their best start. The model has not
seen these videos. Mood and compatibility (0 to 1) are the ground truth, which is hidden from the model.</p>
<div class="cards">
{"".join(map(_card, page.videos))}</div>
</section>

<section id="figures">
<h2>How good is it?</h2>
{_table(page)}
{"".join(f"<p>{escape(text)}</p>" for text in page.discussion)}
</section>

<section id="curves">
<h2>Training</h2>
{_figures(page.curves, page.curves_caption)}
</section>

<section id="map">
<h2>The shared embedding space</h2>
{_figures(page.maps, page.maps_caption)}
</section>

<section id="next">
<h2>Next: your own files</h2>
<pre><code>{escape(page.commands)}</code></pre>
</section>
</main>
<footer>{escape(page.about)}</footer>
</body>
</html>
"""


def _tile(tile: tuple[str, str, str]) -> str:
    value, label, comparison = tile
    return f"<div><dt>{escape(label)}<small>{escape(comparison)}</small></dt><dd>{escape(value)}</dd></div>\n"


def _card(item: MatchedVideo) -> str:
    best = item.candidates[0]
    return f"""<article class="card">
<div>
<video controls playsinline preload="metadata" src="{escape(item.video)}"
 aria-label="{escape(item.title)} with {escape(best.title)}"></video>
<h3>{escape(item.title)}</h3>
<p class="soft">{escape(item.mood)}<br>{item.num_suitable} matching tracks</p>
</div>
<ol class="ranked">
{"".join(map(_candidate, item.candidates))}</ol>
</article>
"""


def _candidate(one: Candidate) -> str:
    label, style = ("match", "good") if one.suitable else ("no match", "bad")
    return f"""<li><b>{one.rank}</b>
<div>{escape(one.title)} <span class="soft">score {one.score:.2f}, start at {one.start_s:.1f} s</span><br>
<span class="soft">{escape(one.mood)}</span></div>
<span class="badge {style}">{label} {one.compatibility:.2f}</span>
<audio controls controlslist="nodownload noplaybackrate" preload="metadata"
 src="{escape(one.audio)}#t={one.start_s:.2f}"
 aria-label="{escape(one.title)} from its best start"></audio></li>
"""


def _table(page: Page) -> str:
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in ("Method", *page.columns))
    body = "".join(
        f'<tr role="row"><th scope="row" role="rowheader">{escape(row.name)}<small>{escape(row.note)}</small></th>'
        + "".join(map(_cell, row.cells, page.columns))
        + "</tr>\n"
        for row in page.rows
    )
    return f"""<table role="table">
<caption>{escape(page.caption)}</caption>
<thead><tr>{head}</tr></thead>
<tbody role="rowgroup">
{body}</tbody>
</table>"""


def _cell(cell: Cell | None, column: str) -> str:
    content = "–" if cell is None else str(cell)
    if cell is not None and cell.ends is not None:
        content += f"<small>{cell.interval}</small>"
    return f'<td role="cell" data-label="{escape(column)}"><span>{content}</span></td>'


def _figures(drawings: Sequence[str], caption: str) -> str:
    return f'<figure><div class="pair">{"".join(drawings)}</div>\n<figcaption>{escape(caption)}</figcaption></figure>'
