"""Help, exit codes and error messages."""

from __future__ import annotations

import shlex

import pytest
import typer

from reelscore.cli.app import COMMANDS, EXIT_CODES_HELP, app
from reelscore.errors import EXIT_CODES
from support.command import error_of, reelscore


def examples():
    """Yield each example line of the help."""
    for command in typer.main.get_group(app).commands.values():
        for part in (command, *getattr(command, "commands", {}).values()):
            for line in (part.epilog or "").splitlines()[1:]:
                yield line.strip()


@pytest.mark.parametrize("line", list(examples()))
def test_the_examples_of_the_help_are_valid_command_lines(line):
    program, name, *arguments = shlex.split(line)
    assert program == "reelscore"
    command = typer.main.get_group(app).commands[name]
    if name in ("encoders", "tag"):
        command, arguments = command.commands[arguments[0]], arguments[1:]
    assert command.make_context(name, arguments).params


def test_every_command_has_an_example_and_a_summary_that_fits():
    root = typer.main.get_group(app)
    shown = reelscore("--help").stdout
    assert set(root.commands) == {name for name, _, _ in COMMANDS}
    for name, command in root.commands.items():
        assert "reelscore" in command.epilog
        assert f"{name:<12}{command.help.splitlines()[0]}\n" in shown
    assert [line.split()[0] for line in shown.split("Commands:\n")[1].splitlines()[: len(COMMANDS)]] == [
        name for name, _, _ in COMMANDS
    ]
    assert max(map(len, shown.splitlines())) <= 80


def test_the_exit_codes_of_errors_are_documented():
    documented = {line.split()[0] for line in EXIT_CODES_HELP.splitlines()[1:]}
    assert documented == {"0", "1", "130", *map(str, EXIT_CODES.values())}
    assert EXIT_CODES_HELP in reelscore("--help").stdout


def test_version():
    assert reelscore("--version").stdout.startswith("reelscore 0.")


@pytest.mark.parametrize("arguments", [[], ["encoders"]], ids=str)
def test_without_a_command_the_help_is_printed(arguments):
    result = reelscore(*arguments, code=2)
    assert result.stdout == ""
    assert "Commands:" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--nonsense"], "no such option: --nonsense; see 'reelscore --help'"),
        (["matc"], "no such command 'matc'; did you mean 'match'; see 'reelscore --help'"),
        (["add"], "missing argument 'PATHS'; see 'reelscore add --help'"),
        (["match", "a.mp4", "--top", "0"], "invalid value for '--top' / '-k'"),
        (["evaluate", "m", "p", "--split", "half"], "invalid value for '--split'"),
    ],
    ids=str,
)
def test_wrong_usage_has_the_style_of_all_errors(arguments, message):
    assert error_of(reelscore(*arguments, code=2)).startswith(message)


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["match", "absent.mp4"], 5, "does not exist"),
        (["match", "{folder}"], 5, "is a folder"),
        (["match", "{text}"], 3, "text.mp4"),
        (["match", "{song}"], 3, "no video stream"),
        (["match", "{video}"], 5, "reelscore add"),
        (["match", "{video}", "--music", "nowhere"], 5, "nowhere"),
        (["match", "{video}", "--music", "{folder}", "--library", "l"], 2, "not both"),
        (["add", "{empty}"], 2, "no music found"),
        (["add", "{folder}", "--encoder", "strong"], 2, "'light', 'pack', 'words' or hub:VIDEO+MUSIC"),
        (["add", "{folder}", "--encoder", "pack"], 2, "--pack FOLDER"),
        (["add", "{folder}", "--model", "nowhere"], 5, "nowhere"),
        (["show", "x", "--library", "nowhere"], 5, "reelscore add"),
        (["train", "--model", "m"], 2, "one source"),
        (["train", "--model", "m", "--set", "emomv"], 2, "--data"),
        (["train", "--model", "m", "--set", "nope", "--data", "{folder}"], 2, "nope"),
        (["train", "{empty}", "--model", "m"], 2, "no video"),
        (["train", "{folder}", "--model", "m", "--text-encoder", "hub:x"], 2, "give --words too"),
        (["evaluate", "nowhere", "--set", "emomv", "--data", "{folder}"], 5, "nowhere"),
        (["train", "{folder}", "--model", "m", "--words"], 2, "needs a text encoder"),
        (["train", "--set", "emomv", "--data", "{folder}", "--model", "m", "--words"], 2, "omit --words"),
        (["match", "--music", "{folder}"], 2, "nothing to match"),
        (["match", "--music", "{folder}", "--text", "calm"], 2, "takes no text here"),
        (
            ["match", "{video}", "--music", "{folder}", "--on-screen"],
            2,
            "takes no text of a video, so --on-screen",
        ),
        (["match", "{video}", "--music", "{folder}", "--vocabulary", "{text}"], 2, "needs a pack"),
        (["match", "{video}", "--music", "{folder}", "--encoder", "words"], 2, "--pack FOLDER"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_an_error_is_one_line_with_its_exit_code(
    tmp_path, monkeypatch, music_folder, video_file, arguments, code, message
):
    (tmp_path / "empty").mkdir()
    (tmp_path / "text.mp4").write_text("this is not a video\n" * 50)
    paths = {
        "folder": music_folder,
        "video": video_file,
        "song": music_folder / "song 0.wav",
        "text": tmp_path / "text.mp4",
        "empty": tmp_path / "empty",
    }
    monkeypatch.chdir(tmp_path)
    assert message in error_of(reelscore(*(a.format(**paths) for a in arguments), code=code))
