"""``reelscore experiment``: an experiment's name enters, its runs are done and its section of the page is written."""

from __future__ import annotations

from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from reelscore.cli.app import run
from reelscore.cli.command import Command
from reelscore.cli.options import JsonOption
from reelscore.cli.output import note, print_json
from reelscore.cli.progress import progress_bar
from reelscore.errors import ConfigError
from reelscore.files import cache_folder

if TYPE_CHECKING:
    from collections.abc import Callable

    from .result import Result


def experiment(
    name: Annotated[
        str, typer.Argument(help="main, noise, few, tasks, text, ablation, hubs, relevance, or all.")
    ],
    data: Annotated[
        Path | None, typer.Option("--data", help="Folder of the public sets' files.", show_default=False)
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="A short form that proves that it runs; minutes in all.")
    ] = False,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config", help="TOML file of the plan, instead of the one built in.", show_default=False
        ),
    ] = None,
    out: Annotated[Path, typer.Option("--out", "-o", help="Folder for results.md and results/.")] = Path(
        "experiment-output"
    ),
    cache: Annotated[
        Path | None,
        typer.Option("--cache", help="Folder where finished runs are kept.", show_default=False),
    ] = None,
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs", "-j", min=1, help="Runs at a time; all cores, with a GPU at most 8.", show_default=False
        ),
    ] = None,
    seeds: Annotated[
        int | None,
        typer.Option(
            "--seeds", min=1, help="Training seeds: 0 to N-1, instead of the plan's.", show_default=False
        ),
    ] = None,
    json: JsonOption = False,
) -> None:
    """Run an experiment and write its tables; run it again to go on where it was stopped."""
    from research.report.charts import require_matplotlib
    from research.report.page import write
    from research.runs.runner import Runner

    from .plan_files import read_plan, with_seeds
    from .registry import EXPERIMENTS, conduct

    require_matplotlib()
    if name not in (*EXPERIMENTS, "all"):
        raise ConfigError(f"no experiment is named {name!r}; name one of {', '.join(EXPERIMENTS)}, or all")
    names = list(EXPERIMENTS) if name == "all" else [name]
    if config is not None and len(names) > 1:
        raise ConfigError("--config holds the plan of one experiment; name that one instead of all")
    folder = cache or cache_folder() / "experiments"
    plans: dict[str, Any] = {}
    for each in names:
        plan = read_plan(EXPERIMENTS[each].plan, each, quick=quick, file=config)
        plan = plan if seeds is None else with_seeds(plan, seeds)
        if data is None and (wanted := EXPERIMENTS[each].sets(plan)):
            missing = ", ".join(dict.fromkeys(wanted))
            reason = f"{each} needs the public sets {missing}; name the folder of their files with --data"
            if name != "all":
                raise ConfigError(reason)
            note(f"left out: {reason}")
            continue
        plans[each] = plan
    results: list[Result] = []
    for each, plan in plans.items():
        runner = Runner(cache=folder, data=data, jobs=jobs, show=_bar(each))
        results.append(conduct(each, plan, runner))
        page = write(results[-1], out)
        if not json:
            print(f"{each}: {results[-1].answer}")
            print(f"{page}")
        for failure in results[-1].failures:
            note(f"  failed  {failure}")
    if json:
        print_json([{"name": one.name, "answer": one.answer, "figures": one.figures} for one in results])
    if any(one.failures for one in results):
        raise typer.Exit(1)


def _bar(name: str) -> Callable[[str], AbstractContextManager[Callable[[int, int], None]]]:
    return lambda title: progress_bar(f"{name}: {title}", "runs")


app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
app.command(cls=Command)(experiment)


if __name__ == "__main__":
    run(app)
