"""A loopback Hub and the program that uses it. A plugin of the test modules here."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_api import WRITE_TOKEN
from hub_program import SHELF, Program, environment, files_with
from hub_server import Hub

_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def whole_hub() -> Iterator[Hub]:
    with Hub() as hub:
        yield hub


@pytest.fixture
def hub(whole_hub: Hub) -> Iterator[Hub]:
    """The Hub, in order, and with an empty memory of requests."""
    whole_hub.seen.clear()
    yield whole_hub
    whole_hub.faults.clear()


@pytest.fixture(scope="session")
def program(whole_hub: Hub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Program]:
    """The program with large files over plain HTTP."""
    home = tmp_path_factory.mktemp("home")
    with Program(environment(whole_hub, home), home) as running:
        yield running
    assert not files_with(WRITE_TOKEN, home)


@pytest.fixture
def address() -> str:
    """Where nobody has published yet."""
    return f"hf://org/model-{next(_numbers)}"


@pytest.fixture
def entry(tmp_path: Path) -> Path:
    """A copy of a published entry."""
    return Path(shutil.copytree(SHELF, tmp_path / "digits_s"))
