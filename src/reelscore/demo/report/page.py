"""What the demo found enters, one HTML page leaves that needs nothing but the media files beside it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from importlib.resources import files


@dataclass(frozen=True, slots=True)
class Cell:
    """A measured value with the ends of its 95% interval, None where it is exact; all printed times `scale`."""

    value: float
    ends: tuple[float, float] | None = None
    scale: float = 100.0

    def __str__(self) -> str:
        return f"{self.value * self.scale:.{self.decimals}f}"

    @property
    def decimals(self) -> int:
        """Digits behind the point: one for percents, two for what is not scaled."""
        return 1 if self.scale == 100 else 2

    @property
    def interval(self) -> str:
        """The interval as ``low–high``, empty for an exact value."""
        if self.ends is None:
            return ""
        low, high = (f"{end * self.scale:.{self.decimals}f}" for end in self.ends)
        return f"{low}–{high}"


@dataclass(frozen=True, slots=True)
class Row:
    """One method in the table; a cell is None where the measure does not apply."""

    name: str
    note: str
    cells: tuple[Cell | None, ...]


@dataclass(frozen=True, slots=True)
class Candidate:
    """One ranked track; `audio` is relative to the page, `truth` the known compatibility."""

    rank: int
    title: str
    audio: str
    mood: str
    score: float
    start_s: float
    truth: float
    suitable: bool


@dataclass(frozen=True, slots=True)
class Shown:
    """A new video with the best track under it; `video` is relative to the page."""

    title: str
    video: str
    mood: str
    num_suitable: int
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True, slots=True)
class Page:
    """All that the page shows.

    Attributes
    ----------
    lead : str
        What this is, in two sentences.
    shown : sequence of Shown
    columns : sequence of str
        Headings of the table's measures.
    rows : sequence of Row
    caption : str
        What the measures mean.
    verdict : sequence of str
        What the figures say and do not say, a paragraph each.
    curves, maps : sequence of str
        SVG texts.
    curves_caption, maps_caption : str
    commands : str
        How to go on with one's own files.
    about : str
        Seed, versions, times.
    """

    lead: str
    shown: Sequence[Shown]
    columns: Sequence[str]
    rows: Sequence[Row]
    caption: str
    verdict: Sequence[str]
    curves: Sequence[str]
    curves_caption: str
    maps: Sequence[str]
    maps_caption: str
    commands: str
    about: str


def page_html(page: Page) -> str:
    """Return the page as HTML; all texts are escaped, SVGs are taken as they are."""
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
<h1>Music for a video</h1>
<p class="lead">{escape(page.lead)}</p>

<section id="results">
<h2>New videos with the best track under them</h2>
<p>The model has not seen these videos. Play one to hear its best match;
the list has the five best tracks, each starting at the moment that fits best. In grey: each track's true mood
and its true compatibility with the video, which a made world knows and no model was told.</p>
<div class="cards">
{"".join(map(_card, page.shown))}</div>
</section>

<section id="figures">
<h2>How good is it?</h2>
{_table(page)}
{"".join(f"<p>{escape(text)}</p>" for text in page.verdict)}
</section>

<section id="curves">
<h2>Learning</h2>
{_figures(page.curves, page.curves_caption)}
</section>

<section id="map">
<h2>Where videos and tracks lie</h2>
{_figures(page.maps, page.maps_caption)}
</section>

<section id="next">
<h2>Go on with your own files</h2>
<pre><code>{escape(page.commands)}</code></pre>
</section>
</main>
<footer>{escape(page.about)}</footer>
</body>
</html>
"""


def _card(shown: Shown) -> str:
    best = shown.candidates[0]
    return f"""<article class="card">
<div>
<video controls playsinline preload="metadata" src="{escape(shown.video)}"
 aria-label="{escape(shown.title)} with {escape(best.title)}"></video>
<h3>{escape(shown.title)}</h3>
<p class="soft">True mood: {escape(shown.mood)}. {shown.num_suitable} tracks of the library suit it.</p>
</div>
<ol class="ranked">
{"".join(map(_candidate, shown.candidates))}</ol>
</article>
"""


def _candidate(one: Candidate) -> str:
    fits = '<span class="fits">suits</span>' if one.suitable else "does not suit"
    return f"""<li><b>{one.rank}</b>
<div>{escape(one.title)} <span class="soft">from {one.start_s:.1f} s, score {one.score:.2f}</span><br>
<span class="soft">{escape(one.mood)}: {fits} ({one.truth:.2f})</span></div>
<audio controls preload="metadata" src="{escape(one.audio)}#t={one.start_s:.2f}"
 aria-label="{escape(one.title)} from its best moment"></audio></li>
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
