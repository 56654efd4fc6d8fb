"""The results of all experiments that were run enter, the page that tells them leaves.

    docs/results.md             the page
    docs/results/NAME.json      one result each, from which page and drawings are made
    docs/results/NAME-*.svg     its drawings

Each section says what is asked, then what the figures answer, then shows them. Nothing on the page is written by
hand.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from reelscore.errors import ArtifactError, ConfigError
from reelscore.files import write_bytes
from research.result import Result, Table

from .charts import chart_svg

ORDER = ("main", "noise", "few", "tasks", "text", "ablation", "hubs", "relevance")
FOLDER = "results"

HEAD = """# Results

Written by `reelscore experiment`; each section by `reelscore experiment NAME`, from the JSON beside this page.
Recalls and mAP are in percent, ties count against us, and differences are in points. The features of the public sets
are ready-made ones, a part of each set, with our own splits: the figures compare with each other and not with those
of any paper.
"""


def write(result: Result, folder: Path) -> Path:
    """Store a result with its drawings below `folder`, and write the page of all results there anew.

    Returns
    -------
    Path
        Of the page.
    """
    place = folder / FOLDER
    for chart in result.charts:
        write_bytes(place / _drawing(result, chart.name), chart_svg(chart))
    write_bytes(place / f"{result.name}.json", result.to_bytes())
    page = folder / "results.md"
    write_bytes(page, page_text(read_results(folder)).encode())
    return page


def read_results(folder: Path) -> list[Result]:
    """Return every result stored below `folder`, in the order of the page; a damaged one is an `ArtifactError`."""
    results = []
    for name in ORDER:
        file = folder / FOLDER / f"{name}.json"
        if not file.exists():
            continue
        try:
            results.append(Result.from_json(json.loads(file.read_text(encoding="utf-8")), where=str(file)))
        except (ValueError, ConfigError) as error:
            raise ArtifactError(
                f"{file} is not a result of this version ({error}); run `reelscore experiment {name}` again"
            ) from error
    return results


def page_text(results: Sequence[Result]) -> str:
    """Return the page in Markdown."""
    parts = [HEAD]
    if len(results) > 1:
        parts.append("\n".join(f"- **{one.title}** (`{one.name}`): {one.answer}" for one in results) + "\n")
    return "\n".join([*parts, *(_section(one) for one in results)])


def _section(result: Result) -> str:
    lines = [f"## {result.title}", "", result.question, "", f"**{result.answer}**", ""]
    if result.failures:
        told = f"{len(result.failures)} run(s) failed and are missing from the figures:"
        lines += [told, "", *(f"- `{failure}`" for failure in result.failures), ""]
    for table in result.tables:
        lines += [*markdown_table(table), ""]
    for chart in result.charts:
        lines += [f"![{chart.title}]({FOLDER}/{_drawing(result, chart.name)})", ""]
    for table in result.settings:
        lines += [*markdown_table(table), ""]
    for note in result.notes:
        lines += [note, ""]
    lines += [
        f"{'. '.join(result.about)}. The plan and the figures: [{result.name}.json]({FOLDER}/{result.name}.json).",
        "",
    ]
    return "\n".join(lines)


def markdown_table(table: Table) -> list[str]:
    """Return a table as Markdown lines; bars inside cells are escaped."""

    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.replace("|", "\\|").replace("\n", " ") for cell in cells) + " |"

    rule = "|" + "---|" * len(table.columns)
    lines = [f"### {table.title}", "", line(table.columns), rule, *(line(row) for row in table.rows)]
    return [*lines, "", table.note] if table.note else lines


def _drawing(result: Result, chart: str) -> str:
    return f"{result.name}-{chart}.svg"
