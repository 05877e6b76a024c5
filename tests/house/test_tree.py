"""House rules that hold for every file of the repository."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
MAX_LINES = 600
CODE = {".py", ".toml", ".sh", ".js", ".mjs", ".html", ".css"}
SKIPPED_FOLDERS = {".git", ".venv", "node_modules", "runs", "dist", "build", "__pycache__", ".hypothesis"}

# What only one machine has, or a mirror of one place. Written in pieces, so that this file passes itself.
PRIVATE = re.compile(
    "|".join(
        [
            r"(?<![\w.~>*])/" + r"(?:work|root|home|Users)/",
            "pypi" + r"\.org",
            "files" + r"\.pythonhosted",
            "download" + r"\.pytorch",
            "extra-" + "index-url",
            "find-" + "links",
            r"\b(?:10|192\.168)(?:\.\d{1,3}){2,3}:\d+",
        ]
    )
)


def repository_files() -> list[Path]:
    """The files that git tracks or would add; without git (a source archive) all that is not built."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"]
    try:
        listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
        paths = [ROOT / name for name in listed.split("\0") if name]
    except (FileNotFoundError, subprocess.CalledProcessError):
        paths = [p for p in ROOT.rglob("*") if not SKIPPED_FOLDERS & set(p.relative_to(ROOT).parts)]
    return [path for path in paths if path.is_file() and not path.is_symlink()]


FILES = repository_files()


def text_of(path: Path) -> str | None:
    """The text of a file; None when it is binary."""
    data = path.read_bytes()
    if b"\0" in data:
        return None
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return None


def test_the_repository_is_seen() -> None:
    names = {path.relative_to(ROOT).as_posix() for path in FILES}
    assert {"pyproject.toml", "anas_zoo/core/errors.py", "tests/house/test_tree.py"} <= names


def test_no_file_is_too_long() -> None:
    lines = {path: len((text_of(path) or "").splitlines()) for path in FILES if path.suffix in CODE}
    assert {str(path.relative_to(ROOT)): n for path, n in lines.items() if n > MAX_LINES} == {}


def test_nothing_is_of_one_machine() -> None:
    found = []
    for path in FILES:
        for number, line in enumerate((text_of(path) or "").splitlines(), 1):
            if match := PRIVATE.search(line):
                found.append(f"{path.relative_to(ROOT)}:{number}: {match.group()}")
    assert found == []


def test_private_places_are_recognised() -> None:
    for text in (
        "cd /" + "work/main",
        "'/" + "home/me/x'",
        "https://" + "pypi" + ".org/simple",
        "10" + ".1.2.3:80",
    ):
        assert PRIVATE.search(text), text
    for text in ("docs/work/a", "~/home/x", "https://example.com/home/", "1.10.0.3", "a/root/b"):
        assert not PRIVATE.search(text), text


def test_no_importable_top_level_folder_but_the_package() -> None:
    # Two torch.hub repositories that each bring a package "models" break each other.
    assert [path.parent.name for path in ROOT.glob("*/__init__.py")] == ["anas_zoo"]


def test_every_direct_dependency_is_pinned_for_development() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    extras = project["project"]["optional-dependencies"].values()
    groups = project["dependency-groups"].values()
    lists = [project["project"]["dependencies"], *extras, *groups]
    wanted = [one for listed in lists for one in listed if isinstance(one, str)]
    constraints = (ROOT / "requirements" / "constraints.txt").read_text().splitlines()
    pinned = {line.split("==")[0].lower() for line in constraints if "==" in line}
    names = {re.match(r"[A-Za-z0-9._-]+", requirement) for requirement in wanted}
    assert {name.group().lower() for name in names if name} - {"anas-zoo"} == pinned
