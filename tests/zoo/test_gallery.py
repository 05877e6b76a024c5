"""The page of a catalog as a parser sees it; as a browser does: tests/clients/test_gallery_page.py."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from catalog_entries import HOSTILE, hostile_catalog

from anas_zoo.core.resources import resource_folder
from anas_zoo.zoo import list_models
from anas_zoo.zoo.catalog import CatalogModel, index_folder, read_folder, write_gallery
from anas_zoo.zoo.catalog.charts import BASELINES, MEASURED, charts, load_baselines

SHELF = resource_folder("models")


class Page(HTMLParser):
    """Tags and texts of a page, as browsers read them."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.scripts: list[str] = []
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        (self.scripts if self.cdata_elem == "script" else self.texts).append(data)


def page_of(folder: Path, out: Path) -> Page:
    write_gallery(out / "page.html", index_folder(folder))
    return Page((out / "page.html").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Page:
    return page_of(SHELF, tmp_path_factory.mktemp("page"))


@pytest.fixture(scope="module")
def models() -> list[CatalogModel]:
    return read_folder(SHELF)


def test_every_model_has_a_row_and_a_card(page: Page, models: list[CatalogModel]) -> None:
    cards = [attrs["id"] for tag, attrs in page.tags if tag == "details"]
    links = [attrs["href"] for tag, attrs in page.tags if tag == "a"]
    assert links == [f"#{card}" for card in cards] == [f"#m{place}" for place in range(len(list_models()))]
    for name in list_models():
        beside = sum(model.other_names == (name,) for model in models)  # in the card of the same architecture
        assert page.texts.count(name) == 2 + beside
    assert 'model = anas_zoo.create_model("./models/digits_m", pretrained=True)' in "".join(page.texts)


def test_the_page_may_fetch_nothing_and_has_nothing_to_fetch(page: Page) -> None:
    (meta,) = [attrs for _, attrs in page.tags if attrs.get("http-equiv") == "Content-Security-Policy"]
    policy = meta["content"]
    assert policy is not None
    assert policy.startswith("default-src 'none';")
    assert "http" not in policy
    assert [attrs for tag, attrs in page.tags if tag in ("script", "link", "img") and len(attrs) > 1] == []
    assert [attrs for tag, attrs in page.tags if tag == "script" and "src" in attrs] == []


def test_charts_show_models_and_baselines_by_their_images(models: list[CatalogModel]) -> None:
    baselines = load_baselines()
    (imagenet, figure), *others = charts(models, baselines)
    assert imagenet == "ImageNet-1k"
    assert sorted(title.split(" ", 1)[0] for title, _ in others) == ["Characters", "Optical"]
    traces = {trace.name: trace for trace in figure.data}
    theirs = {f"published, {paper}" for paper in ("AttentiveNAS", "AlphaNet", "once-for-all")}
    assert set(traces) == {*theirs, BASELINES}
    assert traces["published, once-for-all"].mode == "markers"  # 34 names would cover one another
    assert list(traces[BASELINES].x) == [one.macs / 1e6 for one in baselines.models]
    a0 = traces["published, AttentiveNAS"].text.index("a0")
    assert (traces["published, AttentiveNAS"].x[a0], traces["published, AttentiveNAS"].y[a0]) == (
        203.389568,
        77.3,
    )
    assert [[trace.name for trace in small.data] for _, small in others] == [[MEASURED]] * 2


def test_latencies_of_one_machine_alone_are_drawn(models: list[CatalogModel]) -> None:
    baselines = load_baselines()
    elsewhere = baselines.measured_on.model_copy(update={"machine": "another"})
    for measured_on in (baselines.measured_on, elsewhere):
        known = baselines.model_copy(update={"measured_on": measured_on})
        _, figure = charts(models, known)[0]
        menus = figure.layout.updatemenus
        if measured_on is elsewhere:  # the digits were timed on the first machine, more often
            assert menus == ()
            continue
        places = dict(
            zip((trace.name for trace in figure.data), menus[0].buttons[1].args[0]["x"], strict=True)
        )
        assert places[BASELINES] == [one.latency_ms for one in baselines.models]
        assert min(places["published, AttentiveNAS"]) == baselines.architectures["2da0ac9b74d9"]


def test_texts_of_entries_are_never_markup(tmp_path: Path) -> None:
    plain = page_of(SHELF / "digits_s", tmp_path)
    page = page_of(hostile_catalog(tmp_path / "catalog"), tmp_path)
    drawn = {"svg", "g", "rect", "text", "title"}  # the confusion matrix
    assert {tag for tag, _ in page.tags} <= {tag for tag, _ in plain.tags} | {"h3"} | drawn
    assert drawn <= {tag for tag, _ in page.tags}
    assert not [attrs for _, attrs in page.tags if any(key.startswith("on") for key in attrs)]
    assert HOSTILE in page.texts
    figures = [script for script in page.scripts if "Plotly.newPlot" in script]
    assert any("onerror" in script for script in figures)
    assert not any(re.search(r"<(img|/script)", script) for script in figures)
    assert any("\\u0026lt;img" in script or "&lt;img" in script for script in figures)


def test_the_page_is_a_function_of_the_entries(tmp_path: Path) -> None:
    index = index_folder(SHELF / "digits_s")
    for name in ("one", "two"):
        write_gallery(tmp_path / name, index)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:`torch.jit.:FutureWarning", "ignore:`torch.jit.:DeprecationWarning")
def test_the_costs_of_baselines_are_what_a_trace_counts() -> None:
    import timm
    import torch
    from fvcore.nn import FlopCountAnalysis

    for one in load_baselines().models:
        network = timm.create_model(one.name).eval()
        images = torch.zeros(1, 3, one.resolution, one.resolution)
        analysis = FlopCountAnalysis(network, images)
        counts = analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False).by_operator()
        assert counts["conv"] + counts["linear"] == one.macs, one.name
        assert sum(parameter.numel() for parameter in network.parameters()) == one.params, one.name
