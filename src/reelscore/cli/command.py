"""Typer command classes with grouped help and uniform error messages."""

from __future__ import annotations

import contextlib
import sys
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup

from reelscore.cli.output import close_streams, note
from reelscore.errors import ReelscoreError, exit_code

INTERRUPTED = 130
USAGE = 2
# The base class of all usage errors; typer has no public name for it.
_UsageError: Any = typer.BadParameter.__base__


class _Base:
    """Help as plain text, because importing rich adds 0.3 s to `reelscore --help`."""

    def format_options(self: Any, ctx: Any, formatter: Any) -> None:
        """Write the arguments, then the options in the groups given by ``rich_help_panel``."""
        groups: dict[str, list[tuple[str, str]]] = {"Arguments": []}
        other = []
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is None:
                continue
            if parameter.param_type_name == "argument":
                groups["Arguments"].append((record[0].partition(" <")[0], record[1]))
            elif panel := getattr(parameter, "rich_help_panel", None):
                groups.setdefault(panel, []).append(record)
            else:
                other.append(record)
        for name, records in (*groups.items(), ("Other options" if len(groups) > 1 else "Options", other)):
            if records:
                with formatter.section(name):
                    formatter.write_dl(records)
        if isinstance(self, TyperGroup):
            self.format_commands(ctx, formatter)

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        """Return the arguments of the usage line; typer puts required ones in braces."""
        pieces: list[str] = super().collect_usage_pieces(ctx)  # type: ignore[misc]
        return [piece.replace("{", "").replace("}", "") for piece in pieces]

    def format_epilog(self: Any, _: Any, formatter: Any) -> None:
        """Write the epilog line by line, without wrapping."""
        if self.epilog:
            formatter.write(f"\n{self.epilog}\n")

    def main(self, *args: Any, standalone_mode: bool = True, **extra: Any) -> Any:
        """Run the command; in standalone mode print errors as ``reelscore: ...`` and exit."""
        run = super().main  # type: ignore[misc]
        if not standalone_mode:
            return run(*args, standalone_mode=False, **extra)
        try:
            code = run(*args, standalone_mode=False, **extra)
            sys.stdout.flush()
        except ReelscoreError as error:
            code = _fail(str(error), exit_code(error))
        except _UsageError as error:
            code = _fail(_usage(error), USAGE)
        except (BrokenPipeError, SystemExit):  # typer exits when a pipe is closed
            code = 0  # the reader has stopped, as in `reelscore list | head`
        except OSError as error:
            name = f" {error.filename}" if error.filename else ""
            code = _fail(f"cannot access{name}: {error.strerror or error}; check the path and permissions", 1)
        if code == INTERRUPTED:
            _fail("interrupted; run the same command again to continue", code)
        close_streams()
        sys.exit(code if isinstance(code, int) else 0)


class Command(_Base, TyperCommand):
    """A command."""


class Group(_Base, TyperGroup):
    """A command with subcommands."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Print the help where no subcommand is given."""
        if not args:
            typer.echo(ctx.get_help(), err=True)
            raise typer.Exit(USAGE)
        return super().parse_args(ctx, args)


def examples(*lines: str) -> str:
    """Return an epilog that shows example command lines."""
    return "\n  ".join(["Examples:", *lines])


def _usage(error: Any) -> str:
    message = error.format_message().rstrip(".?").replace(". Did you mean", "; did you mean")
    command = error.ctx.command_path if error.ctx else "reelscore"
    return f"{message[:1].lower()}{message[1:]}; see '{command} --help'"


def _fail(message: str, code: int) -> int:
    with contextlib.suppress(OSError):  # standard error is closed
        note(f"reelscore: {message}")
    return code
