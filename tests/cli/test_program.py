from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from command_line import files_below, refused, start_driver, succeeded

from anas_zoo.cli import app, main

PROGRAM = [sys.executable, "-m", "anas_zoo.cli"]
SIGNALS = [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]


def test_help_lists_every_command_with_what_it_does(capsys: pytest.CaptureFixture[str]) -> None:
    text = succeeded(capsys, "--help")
    for name, function in app.COMMANDS.items():
        assert f"  {name} " in text
        assert (function.__doc__ or "").split(",")[0].partition("\n")[0][:40] in text


def every_command(command: Any, words: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """The words of each command and what typer made of it."""
    yield words, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from every_command(inner, (*words, name))


def test_every_command_and_option_has_help() -> None:
    import typer

    for words, command in every_command(typer.main.get_command(app.make_app())):
        assert command.help, words
        assert [option.name for option in command.params if not option.help] == [], words


@pytest.mark.parametrize("words", [("search",), ("latency", "fit"), ("pull",)], ids=" ".join)
def test_a_command_shows_its_help(words: tuple[str, ...], capsys: pytest.CaptureFixture[str]) -> None:
    assert f"Usage: anas {' '.join(words)}" in succeeded(capsys, *words, "--help")


def test_options_of_a_schema_are_typed_and_bounded() -> None:
    import typer

    from anas_zoo.searching import SearchRecipe
    from anas_zoo.searching.objectives import OBJECTIVES

    program: Any = typer.main.get_command(app.make_app("search"))
    options = {one.name: one for one in program.commands["search"].params}
    assert options["evaluations"].help == SearchRecipe.model_fields["evaluations"].description
    assert {f"min_{one.keyword}" for one in OBJECTIVES.values()} <= options.keys()
    assert "max_top1_pct" not in options
    assert options["max_mflops"].multiple
    assert not options["evaluations"].multiple
    assert all(
        option.default is None for option in options.values() if option.name in SearchRecipe.model_fields
    )


@pytest.mark.parametrize("name", app.GROUPS)
def test_a_group_without_a_command_shows_its_help_and_fails(
    name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([name]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert f"Usage: anas {name}" in captured.err


def test_no_command_shows_the_help_and_fails(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Usage: anas" in captured.err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["lst"], "no command 'lst' (did you mean 'list'?); see: anas --help"),
        (["qqqq"], "no command 'qqqq'; commands: "),
        (["list", "--jsn"], "no option '--jsn' (did you mean '--json'?)"),
        (["list", "--min-top1", "97"], "(did you mean '--min-top1-pct'?)"),
        (["import", "attentive-nas", "x", "--images", "y"], "(did you mean '--data'?)"),
        (["import", "authors", "x"], "no command 'authors' (did you mean 'attentive-nas'?)"),
        (["list", "a", "extra"], "Got unexpected extra argument"),
        (["predictor", "ft"], "no command 'ft' (did you mean 'fit'?); see: anas predictor --help"),
        (["predictor", "fit", "archive"], "Missing option '--out'; see: anas predictor fit --help"),
        (["predict", "tiny"], "Missing argument 'IMAGE...'; see: anas predict --help"),
        (["predict", "tiny", "a.png", "--top", "0"], "Invalid value for '--top'"),
    ],
)
def test_a_command_line_that_makes_no_sense(
    arguments: list[str], said: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert said in refused(capsys, *arguments, code=2)


def broken() -> None:
    """Have a mistake."""
    raise ValueError("first line\nsecond line")


def full() -> None:
    """Meet a full disk where nobody expected one."""
    raise OSError(errno.ENOSPC, "No space left on device", "some/file")


@pytest.fixture
def more_commands(monkeypatch: pytest.MonkeyPatch) -> None:
    for command in (broken, full):
        monkeypatch.setitem(app.COMMANDS, command.__name__, command)


@pytest.mark.usefixtures("more_commands")
def test_an_error_of_ours_is_one_line_and_a_hint(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["broken"]) == 70
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("anas: internal error: ValueError: first line second line (")
    assert "ANAS_TRACEBACK=1" in captured.err
    assert captured.err.count("\n") == 1


@pytest.mark.usefixtures("more_commands")
def test_the_traceback_can_be_asked_for(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("ANAS_TRACEBACK", "1")
    assert main(["broken"]) == 70
    error = capsys.readouterr().err
    assert "Traceback (most recent call last)" in error
    assert "in broken" in error


@pytest.mark.usefixtures("more_commands")
def test_a_full_disk_is_no_internal_error(capsys: pytest.CaptureFixture[str]) -> None:
    said = refused(capsys, "full")
    assert said == "no space left while writing some/file; free some and run it again"


@pytest.mark.slow
@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs the device /dev/full")
def test_a_result_that_finds_no_space() -> None:
    with Path("/dev/full").open("w") as stdout:
        done = subprocess.run(
            [*PROGRAM, "list"], stdout=stdout, stderr=subprocess.PIPE, text=True, check=False, timeout=60
        )
    assert (done.returncode, done.stderr) == (1, "anas: error: no space left; free some and run it again\n")


@pytest.mark.slow
def test_a_reader_that_leaves_is_no_error() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [*PROGRAM, "list"], stdout=writing, stderr=subprocess.PIPE, text=True, check=False, timeout=60
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), SIGNALS)
def test_a_signal_in_the_middle_leaves_nothing(number: signal.Signals, code: int, tmp_path: Path) -> None:
    with start_driver("slow", tmp_path / "out") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        assert any(path.name == "half" for path in tmp_path.rglob("*"))  # there was something to clean up
        process.send_signal(number)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out) == (code, "")
    assert err == "anas: interrupted; nothing half-written was left\n"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_second_signal_does_not_cut_the_clean_up_short(tmp_path: Path) -> None:
    with start_driver("careful", tmp_path / "out") as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "begun\n"
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "cleaning\n"
        process.send_signal(signal.SIGINT)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == 130
    assert (tmp_path / "out").read_text() == "clean"


@pytest.mark.slow
@pytest.mark.parametrize("after_s", [0.3, 1.0, 2.0, 3.0, 4.0])
def test_publishing_is_interrupted_at_any_time(draft: Path, tmp_path: Path, after_s: float) -> None:
    before = files_below(draft)
    command = [*PROGRAM, "publish", str(draft), "--to", str(tmp_path / "out")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        time.sleep(after_s)
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    if out:  # it was faster than we: the signal came while the interpreter was ending, or not at all
        assert process.returncode in (0, 130, -signal.SIGINT)
        assert [path.name for path in tmp_path.iterdir()] == ["out"]
    else:
        if process.returncode != -signal.SIGINT:  # the interpreter was still starting
            assert process.returncode == 130
            assert err == "anas: interrupted; nothing half-written was left\n"
        assert list(tmp_path.iterdir()) == []
    assert files_below(draft) == before
