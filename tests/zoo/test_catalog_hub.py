"""An organisation's entries, read through an API of the shape of huggingface_hub's."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from catalog_entries import copy_entry
from huggingface_hub.errors import RepositoryNotFoundError

from anas_zoo.core.errors import EntryError, HubError
from anas_zoo.zoo.catalog import write_gallery
from anas_zoo.zoo.catalog.hub import index_organisation

COMMIT = "c0ffee" + "0" * 34


class FolderApi:
    """The two calls that are needed, answered from folders; keeps what was asked for."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.asked: list[tuple[str, str, str]] = []

    def list_models(self, *, author: str, expand: Any) -> Iterable[Any]:
        assert set(expand) == {"sha", "siblings"}
        for folder in sorted((self.root / author).iterdir()):
            siblings = [SimpleNamespace(rfilename=path.name) for path in folder.iterdir()]
            yield SimpleNamespace(id=f"{author}/{folder.name}", sha=COMMIT, siblings=siblings)

    def hf_hub_download(self, repo_id: str, filename: str, *, revision: str) -> str:
        self.asked.append((repo_id, filename, revision))
        return str(self.root / repo_id / filename)


@pytest.fixture
def api(tmp_path: Path) -> FolderApi:
    copy_entry("digits_s", tmp_path / "org" / "small")
    copy_entry("attentive_nas_a0", tmp_path / "org" / "a0")
    foreign = tmp_path / "org" / "bert"
    foreign.mkdir()
    (foreign / "config.json").write_text("{}")
    return FolderApi(tmp_path)


def test_entries_are_read_from_three_files_at_one_commit(api: FolderApi) -> None:
    index = index_organisation("org", api)
    assert [(model.name, model.location, model.commit) for model in index.models] == [
        ("digits_s", "org/small", COMMIT),
        ("attentive_nas_a0", "org/a0", COMMIT),
    ]
    small, a0 = index.models
    assert (small.has_weights, a0.has_weights) == (True, False)
    assert {name for _, name, _ in api.asked} == {"manifest.json", "config.json", "report.json"}
    assert {(repo, commit) for repo, _, commit in api.asked} == {("org/small", COMMIT), ("org/a0", COMMIT)}


def test_the_page_says_how_to_get_them_from_the_hub(api: FolderApi, tmp_path: Path) -> None:
    write_gallery(tmp_path / "index.html", index_organisation("org", api))
    page = (tmp_path / "index.html").read_text(encoding="utf-8")
    assert f"hf-hub:org/small@{COMMIT}" in page
    assert f"anas pull hf://org/small@{COMMIT} --out ./digits_s" in page


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        (
            lambda f: (f / "report.json").write_text("{}"),
            "report.json is not the file that its manifest.json",
        ),
        (lambda f: (f / "manifest.json").write_text("[]"), "expected a mapping"),
        (
            lambda f: (f / "manifest.json").write_text('{"files": {"../x": {}}}'),
            "hf://org/small/manifest.json",
        ),
    ],
)
def test_an_unsound_entry_is_left_out_and_said(
    spoil: Any, why: str, api: FolderApi, capsys: pytest.CaptureFixture[str]
) -> None:
    spoil(api.root / "org" / "small")
    index = index_organisation("org", api)
    assert [model.location for model in index.models] == ["org/a0"]
    assert why in index.left_out["org/small"]
    assert "left out: " in capsys.readouterr().err


def test_one_name_of_two_architectures_is_refused(api: FolderApi) -> None:
    copy_entry("digits_m", api.root / "org" / "other", config={"anas": {"name": "digits_s"}})
    with pytest.raises(EntryError, match=r"in org/other and .* in org/small"):
        index_organisation("org", api)


def test_an_organisation_without_entries_is_one_line(api: FolderApi) -> None:
    for name in ("small", "a0"):
        shutil.rmtree(api.root / "org" / name)
    with pytest.raises(EntryError, match=r"hf://org has no model with a manifest\.json"):
        index_organisation("org", api)


def test_what_the_hub_refuses_is_one_line(api: FolderApi, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(**_: Any) -> Any:
        import httpx2

        request = httpx2.Request("GET", "https://example.com")
        raise RepositoryNotFoundError("404\nNot here", response=httpx2.Response(404, request=request))

    monkeypatch.setattr(api, "list_models", refuse)
    with pytest.raises(HubError, match="hf://org") as error:
        index_organisation("org", api)
    assert "\n" not in str(error.value)


def test_a_changed_config_that_the_manifest_lists_is_still_checked(api: FolderApi) -> None:
    config = api.root / "org" / "small" / "config.json"
    data = json.loads(config.read_text()) | {"num_classes": 11}
    config.write_text(json.dumps(data))
    assert "SHA-256 differs" in index_organisation("org", api).left_out["org/small"]
