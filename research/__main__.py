"""Command line of the studies."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from json import loads
from pathlib import Path
from typing import Annotated

import typer

from reelscore.cli.app import run
from reelscore.cli.command import Command, Group, examples
from reelscore.cli.options import JsonOption
from reelscore.cli.output import note, print_json
from reelscore.cli.progress import progress_bar
from reelscore.errors import ConfigError
from reelscore.files import cache_folder, write_bytes

from .plan_files import read_plan
from .registry import STUDIES, run_study
from .report.page import PAGE, RESULTS, section, write_page
from .result import Result
from .runs.runner import Runner
from .study import Study

DataOption = Annotated[
    Path | None,
    typer.Option("--data", help="Folder with the files of the public sets.", show_default=False),
]
QuickOption = Annotated[bool, typer.Option("--quick", help="Run the short plan, for testing: minutes.")]
ConfigOption = Annotated[
    Path | None,
    typer.Option("--config", help="TOML file with your own plan.", show_default=False),
]
OutOption = Annotated[Path, typer.Option("--out", "-o", help="Folder for the result, STUDY.json.")]
CacheOption = Annotated[
    Path | None,
    typer.Option("--cache", help="Folder for finished runs. Run again to continue.", show_default=False),
]
JobsOption = Annotated[
    int | None,
    typer.Option("--jobs", "-j", min=1, help="Parallel runs. Default: one a core.", show_default=False),
]

app = typer.Typer(
    name="research",
    cls=Group,
    help="Run a study of the method and write its result.",
    epilog=examples("python -m research methods --data features", "python -m research tables"),
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _command(study: Study) -> Callable[..., None]:
    def command(
        data: DataOption = None,
        quick: QuickOption = False,
        config: ConfigOption = None,
        out: OutOption = Path("study-output"),
        cache: CacheOption = None,
        jobs: JobsOption = None,
        json: JsonOption = False,
    ) -> None:
        plan = read_plan(study.plan, study.name, quick=quick, file=config)
        if data is None and (sets := study.sets(plan)):
            raise ConfigError(
                f"{study.name} reads the public sets {', '.join(dict.fromkeys(sets))}. Name the folder of their files: "
                "--data FOLDER"
            )
        runner = Runner(cache=_cache(cache), data=data, jobs=jobs, show=_progress(study.name))
        result = run_study(study.name, plan, runner)
        _show([result], out, json=json)

    command.__doc__ = study.question
    return command


for _study in STUDIES.values():
    _epilog = examples(f"python -m research {_study.name} --data features")
    app.command(_study.name, cls=Command, short_help=_study.title, epilog=_epilog)(_command(_study))


@app.command("all", cls=Command)
def run_all(
    data: DataOption = None,
    quick: QuickOption = False,
    out: OutOption = Path("study-output"),
    cache: CacheOption = None,
    jobs: JobsOption = None,
    json: JsonOption = False,
) -> None:
    """Run every study. Without --data, studies of public sets are skipped."""
    results = []
    for name, study in STUDIES.items():
        plan = read_plan(study.plan, name, quick=quick)
        if data is None and study.sets(plan):
            note(f"skipped: {name} reads public sets. Name the folder of their files: --data FOLDER")
            continue
        runner = Runner(cache=_cache(cache), data=data, jobs=jobs, show=_progress(name))
        results.append(run_study(name, plan, runner))
        write_bytes(out / f"{name}.json", results[-1].to_bytes())  # a later study may be interrupted
    _show(results, out, json=json)


@app.command(cls=Command)
def tables(
    results: Annotated[Path, typer.Option("--results", help="Folder of the results.")] = RESULTS,
    page: Annotated[Path, typer.Option("--page", help="Markdown file to write.")] = PAGE,
) -> None:
    """Write the summary page from the stored results."""
    write_page(page, results)
    print(page)


def _show(results: Sequence[Result], out: Path, *, json: bool) -> None:
    for result in results:
        file = out / f"{result.name}.json"
        write_bytes(file, result.to_bytes())
        if not json:
            print(section(result))
            print(file)
        for failure in result.failures:
            note(f"failed: {failure}")
    if json:
        print_json([loads(one.to_bytes()) | {"finding": STUDIES[one.name].finding(one)} for one in results])
    if any(result.failures for result in results):
        raise typer.Exit(1)


def _cache(folder: Path | None) -> Path:
    return folder or cache_folder() / "studies"


def _progress(name: str) -> Callable[[str], AbstractContextManager[Callable[[int, int], None]]]:
    return lambda title: progress_bar(f"{name}: {title}", "runs")


if __name__ == "__main__":
    run(app)
