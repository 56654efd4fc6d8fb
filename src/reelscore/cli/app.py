"""The command line: words enter, the verb that they name runs, and its exit code leaves.

Errors of the family are printed as one message without a traceback and become the exit codes of
`reelscore.errors.EXIT_CODES`; Ctrl-C is 130.
"""

from __future__ import annotations

import os
import sys

import typer

from reelscore import __version__
from reelscore.cli.commands.add import add
from reelscore.cli.commands.demo import demo
from reelscore.cli.commands.doctor import doctor
from reelscore.cli.commands.encoders import encoders
from reelscore.cli.commands.evaluate import evaluate
from reelscore.cli.commands.list import list_tracks
from reelscore.cli.commands.match import match
from reelscore.cli.commands.probe import probe
from reelscore.cli.commands.rebuild import rebuild
from reelscore.cli.commands.remove import remove
from reelscore.cli.commands.show import show
from reelscore.cli.commands.train import train
from reelscore.cli.commands.words import words
from reelscore.errors import ReelscoreError, exit_code

app = typer.Typer(
    name="reelscore",
    help="Find music for a video: ranked tracks and the moment that fits.",
    no_args_is_help=True,
    rich_markup_mode=None,  # plain help: the coloured one takes a third of its whole time to load
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


_INTERRUPTED = 130  # typer's exit code after Ctrl-C


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"reelscore {__version__}")
        raise typer.Exit


@app.callback()
def root(
    version: bool = typer.Option(
        False, "--version", callback=_print_version, is_eager=True, help="Print the version and stop."
    ),
) -> None:
    """Find music for a video: ranked tracks and the moment that fits."""


for verb in (demo, probe, words, add, show, remove, rebuild, match, train, evaluate, doctor):
    app.command()(verb)
app.command("list")(list_tracks)
app.add_typer(encoders, name="encoders")


def run(commands: typer.Typer = app) -> None:
    """Run a command line, print errors without a traceback, and exit."""
    # A file name that is not valid UTF-8 must be printable as it came.
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="surrogateescape")
    try:
        commands()
    except ReelscoreError as error:
        print(f"reelscore: {error}", file=sys.stderr)
        sys.exit(exit_code(error))
    except SystemExit as stop:
        if stop.code == _INTERRUPTED:
            print("reelscore: stopped; the same command goes on from what is finished", file=sys.stderr)
        raise
    except BrokenPipeError:
        # The reader went away (`reelscore list | head`): not an error of ours.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        sys.exit(0)
    except OSError as error:
        where = f" {error.filename}" if error.filename else ""
        print(f"reelscore: the system refused{where}: {error.strerror or error}", file=sys.stderr)
        sys.exit(1)


if __name__ == "__main__":
    run()
