"""The page of a catalog as a parser sees it; as a browser does: tests/clients/test_gallery_page.py."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from catalog_entries import HOSTILE, hostile_catalog
from hypothesis import given
from hypothesis import strategies as st

from anas_zoo.core.errors import ConfigError
from anas_zoo.core.resources import resource_folder
from anas_zoo.zoo import Entry, entry_folder
from anas_zoo.zoo.catalog import index_folder, write_gallery
from anas_zoo.zoo.catalog.markup import inert_json, text
from anas_zoo.zoo.catalog.rivals import load_rivals


class Page(HTMLParser):
    """Tags, texts and scripts of a page, as browsers read them."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.source = source
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.scripts: list[str] = re.findall(r"<script[^>]*>(.*?)</script>", source, re.DOTALL)
        self.styles: list[str] = re.findall(r"<style>(.*?)</style>", source, re.DOTALL)
        self.feed(re.sub(r"(<(script|style)[^>]*>).*?</\2>", r"\1</\2>", source, flags=re.DOTALL))
        self.close()
        self.data: dict[str, Any] = json.loads(self.scripts[0])

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def page_of(folder: Path, out: Path, **options: Any) -> Page:
    write_gallery(out / "page.html", index_folder(folder), **options)
    return Page((out / "page.html").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Page:
    return page_of(resource_folder("models"), tmp_path_factory.mktemp("page"))


def test_there_is_a_card_and_a_point_for_every_model(page: Page) -> None:
    cards = [attrs["id"] for tag, attrs in page.tags if tag == "details"]
    assert cards == [f"m{place}" for place in range(12)]
    names = [model["name"] for model in page.data["models"]]
    assert names[0] == "digits_l"
    assert set(names) <= set(page.texts)
    a0 = page.data["models"][names.index("attentive_nas_a0")]
    assert [(figure["series"], figure["top1"]) for figure in a0["figures"]] == [
        ("published, AttentiveNAS", 77.3),
        ("published, AlphaNet", 77.87),
    ]
    (timed,) = load_rivals().architectures[Entry.read(entry_folder("attentive_nas_a0")).config.arch.id]
    latency = [{"on": f"{timed.machine}, 1 thread", "ms": timed.p50_ms, "file": "random weights"}]
    assert (a0["mflops"], a0["latency"]) == (203.389568, latency)


def test_rivals_are_marked_as_published_with_their_source(page: Page) -> None:
    rivals = load_rivals()
    assert [rival["name"] for rival in page.data["rivals"]] == [rival.name for rival in rivals.models]
    assert {rival["data"] for rival in page.data["rivals"]} == {"ImageNet-1k"}
    assert any("published in" in piece and rivals.source in piece for piece in page.texts)


def test_the_page_needs_and_may_have_nothing_from_elsewhere(page: Page) -> None:
    (meta,) = [attrs for _, attrs in page.tags if attrs.get("http-equiv") == "Content-Security-Policy"]
    policy = meta["content"]
    assert policy is not None
    assert policy.startswith("default-src 'none'; script-src 'sha256-")
    for part in [*page.scripts[1:], *page.styles]:
        digest = base64.b64encode(hashlib.sha256(part.encode()).digest()).decode()
        assert f"'sha256-{digest}'" in policy
    assert "unsafe" not in policy
    addresses = [attrs[key] for _, attrs in page.tags for key in ("src", "href") if key in attrs]
    assert addresses == []
    assert "innerHTML" not in page.source
    assert not [attrs for _, attrs in page.tags if any(key.startswith("on") for key in attrs)]


def test_texts_of_entries_are_never_markup(tmp_path: Path) -> None:
    plain = page_of(resource_folder("models") / "digits_s", tmp_path)
    page = page_of(hostile_catalog(tmp_path / "catalog"), tmp_path)
    assert {tag for tag, _ in page.tags} <= {tag for tag, _ in plain.tags}
    assert len(page.scripts) == len(plain.scripts) == 3
    assert page.scripts[1:] == plain.scripts[1:]
    assert page.data["models"][0]["figures"][0]["data"] == HOSTILE
    shown = "".join(page.texts)
    assert "</script><img src=x onerror=" in shown
    assert "{{json}}&lt;'" in shown


def test_the_page_is_a_function_of_the_entries(tmp_path: Path) -> None:
    sources = []
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        sources.append(page_of(resource_folder("models"), tmp_path / name).source)
    assert sources[0] == sources[1]


@given(st.text())
def test_no_text_can_leave_its_element_or_its_attribute(value: str) -> None:
    shown = text(value)
    assert not set("<>\"'\n\u2028\u2029\u202e\0") & set(shown)
    assert "<" not in inert_json(value)
    assert "\u2028" not in inert_json(value)
    assert json.loads(inert_json(value)) == value


def test_a_bad_file_of_rivals_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "rivals.yaml"
    path.write_text("dataset: x\nsource: y\nmodels: [{name: z, top1_pct: 101}]\n")
    with pytest.raises(ConfigError, match=r"rivals\.yaml: .*models\.0\.top1_pct"):
        load_rivals(path)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:`torch.jit.:FutureWarning", "ignore:`torch.jit.:DeprecationWarning")
def test_the_costs_of_rivals_are_what_a_trace_counts() -> None:
    import timm
    import torch
    from fvcore.nn import FlopCountAnalysis

    for rival in load_rivals().models:
        network = timm.create_model(rival.name).eval()
        images = torch.zeros(1, 3, rival.resolution, rival.resolution)
        analysis = FlopCountAnalysis(network, images)
        counts = analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).by_operator()
        assert counts["conv"] + counts["linear"] == rival.macs, rival.name
        assert sum(parameter.numel() for parameter in network.parameters()) == rival.params, rival.name
