"""The stages as functions: the names and options of the commands, results in place of printed text."""

from __future__ import annotations

import inspect
from pathlib import Path
from typing import Any

import pytest
import typer

import anas_zoo
from anas_zoo.cli import app
from anas_zoo.core.hints import FUNCTIONS
from anas_zoo.core.progress import LOGGER

BUILT_LATER = {"search", "extract", "export", "evaluate", "profile"}


@pytest.fixture(autouse=True)
def as_a_library(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody listens to the package's log."""
    monkeypatch.setattr(LOGGER, "handlers", [])


@pytest.mark.parametrize("name", sorted(FUNCTIONS - BUILT_LATER))
def test_a_function_has_the_arguments_and_options_of_its_command(name: str) -> None:
    program: Any = typer.main.get_command(app.make_app(name))
    command = {
        (one.opts[0].lstrip("-").replace("-", "_") if one.opts[0].startswith("--") else one.name)
        for one in program.commands[name].params
    }
    function = {parameter.rstrip("_") for parameter in inspect.signature(getattr(anas_zoo, name)).parameters}
    assert command - {"json"} == function


def test_an_entry_is_published_verified_and_validated_without_a_word(
    draft: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    plan = anas_zoo.publish(draft, tmp_path / "entry", dry_run=True).plan
    assert plan is not None
    assert plan.licence == "Apache-2.0"
    assert list(tmp_path.iterdir()) == []
    folder = anas_zoo.publish(draft, tmp_path / "entry").folder
    assert folder == tmp_path / "entry"
    assert anas_zoo.verify(folder).golden_images == 2
    copy = anas_zoo.pull(folder, tmp_path / "copy")
    assert copy.files == anas_zoo.verify(copy.folder).files
    (parity,) = anas_zoo.validate(folder).values()
    assert parity.max_abs_logit_diff < 1e-4
    with pytest.raises(anas_zoo.AnasError, match=r"check it: anas_zoo\.verify\(|check it: anas verify"):
        anas_zoo.publish(draft, folder)
    assert capfd.readouterr() == ("", "")
