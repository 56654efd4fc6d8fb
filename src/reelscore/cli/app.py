"""The application ``reelscore``: its commands, in the order of use."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any

import typer

from reelscore import __version__
from reelscore.cli.command import Command, Group, examples
from reelscore.cli.commands.add import add
from reelscore.cli.commands.demo import demo
from reelscore.cli.commands.doctor import doctor
from reelscore.cli.commands.encoders import encoders
from reelscore.cli.commands.evaluate import evaluate
from reelscore.cli.commands.extract import extract
from reelscore.cli.commands.list import list_tracks
from reelscore.cli.commands.match import match
from reelscore.cli.commands.probe import probe
from reelscore.cli.commands.rebuild import rebuild
from reelscore.cli.commands.remove import remove
from reelscore.cli.commands.render import render
from reelscore.cli.commands.serve import serve
from reelscore.cli.commands.show import show
from reelscore.cli.commands.tag import tag
from reelscore.cli.commands.train import train
from reelscore.cli.commands.transcript import transcript
from reelscore.cli.output import open_streams, print_line

COMMANDS: tuple[tuple[str, Callable[..., None] | typer.Typer, list[str]], ...] = (
    ("demo", demo, ["reelscore demo --out demo-output"]),
    (
        "doctor",
        doctor,
        ["reelscore doctor", "reelscore doctor --model my-model --pack my-pack"],
    ),
    (
        "add",
        add,
        ["reelscore add ~/Music", "reelscore add ~/Music --library lib --model my-model"],
    ),
    (
        "match",
        match,
        [
            "reelscore match holiday.mp4 --music ~/Music",
            "reelscore match holiday.mp4 --library lib --top 5 --json",
            'reelscore match --text "calm piano" --music ~/Music --pack my-pack',
        ],
    ),
    (
        "render",
        render,
        [
            "reelscore render holiday.mp4 song.mp3 --start 34 -o finished.mp4",
            "reelscore render holiday.mp4 song.mp3 --fit -o plan.json",
            "reelscore render holiday.mp4 song.mp3 --plan plan.json -o timeline.fcpxml",
        ],
    ),
    (
        "serve",
        serve,
        [
            "reelscore serve --music ~/Music",
            "reelscore serve --keys keys.toml --new-key anna:admin",
            "reelscore serve --library lib --host 0.0.0.0 --keys keys.toml",
        ],
    ),
    ("list", list_tracks, ["reelscore list --library lib --paths"]),
    ("show", show, ['reelscore show "Song title" --library lib']),
    (
        "tag",
        tag,
        ["reelscore tag import licences.csv --library lib", "reelscore tag remove price --library lib"],
    ),
    ("remove", remove, ["reelscore remove ~/Music/old.mp3 --library lib"]),
    ("rebuild", rebuild, ["reelscore rebuild --library lib --model my-model"]),
    ("probe", probe, ["reelscore probe holiday.mp4"]),
    (
        "transcript",
        transcript,
        [
            "reelscore transcript holiday.mp4",
            "reelscore transcript holiday.mp4 --on-screen --speech openai/whisper-base",
        ],
    ),
    ("encoders", encoders, ["reelscore encoders list"]),
    (
        "train",
        train,
        [
            "reelscore train finished-videos/ --model my-model",
            "reelscore train pairs.csv --model my-model --epochs 40 --seed 1",
        ],
    ),
    (
        "extract",
        extract,
        [
            "reelscore extract pairs.csv --out features",
            "reelscore extract pairs.parquet --out s3://bucket/features --engine ray --address head:6379",
        ],
    ),
    (
        "evaluate",
        evaluate,
        [
            "reelscore evaluate my-model finished-videos/",
            "reelscore evaluate my-model other-videos/ --split all --json",
        ],
    ),
)
"""Name, function and example lines of each command, in the order of use."""

EXIT_CODES_HELP = """\
Exit codes:
  0    success
  1    a problem found by 'doctor' or 'encoders check', or another error
  2    wrong option, configuration or input
  3    a media file cannot be used, or no file could be added
  4    a model, library, pack or cache is damaged or does not match
  5    a file, track, model or library was not found
  130  interrupted with Ctrl-C"""


class _Root(Group):
    def list_commands(self, _: Any) -> list[str]:
        return [name for name, _, _ in COMMANDS]


app = typer.Typer(
    name="reelscore",
    cls=_Root,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=EXIT_CODES_HELP,
)


def _print_version(value: bool) -> None:
    if value:
        print_line(f"reelscore {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: bool = typer.Option(
        False, "--version", callback=_print_version, is_eager=True, help="Print the version and exit."
    ),
) -> None:
    """Find music for a video: ranked tracks, and where in each track to start."""


for _name, _command, _lines in COMMANDS:
    if isinstance(_command, typer.Typer):
        app.add_typer(_command, name=_name, epilog=examples(*_lines))
    else:
        app.command(_name, cls=Command, epilog=examples(*_lines))(_command)


def run(commands: typer.Typer = app) -> None:
    """Run a command line and exit."""
    os.environ["PYTHONSAFEPATH"] = (
        "1"  # processes that libraries start must not import from the current folder
    )
    open_streams()
    commands()


if __name__ == "__main__":
    run()
