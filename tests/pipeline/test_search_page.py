"""The page of a search: its figure as plotly holds it, its text as a browser would read it."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from searched import HOSTILE, baselines, made_up

from anas_zoo.core.hints import Call
from anas_zoo.core.intervals import with_interval
from anas_zoo.core.text import one_line
from anas_zoo.pipeline.search_view.page import MANY, figure_of, write_page
from anas_zoo.pipeline.search_view.view import SearchView
from anas_zoo.space import SearchSpace


class Page(HTMLParser):
    """What a browser would see of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.rows: list[list[str]] = []
        self.texts: list[str] = []
        self.scripts = 0
        self.source = path.read_text(encoding="utf-8")
        self.feed(self.source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.scripts += tag == "script"
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        if self.lasttag in ("td", "th", "code") and self.rows and data.strip():
            self.rows[-1][-1] += data
        elif self.lasttag != "script":
            self.texts.append(data)


def page_of(view: SearchView, folder: Path) -> Page:
    write_page(folder / "page.html", view)
    return Page(folder / "page.html")


def traces_of(view: SearchView) -> dict[str, Any]:
    """The traces that have a name."""
    return {trace.name: trace for trace in figure_of(view).data if trace.name}


def test_every_evaluation_is_there_with_its_architecture_costs_and_command() -> None:
    view = made_up(150)
    evaluated = traces_of(view)["evaluated"]
    assert list(evaluated.x) == [e.macs / 1e6 for e in view.evaluations]
    assert list(evaluated.y) == [e.top1_pct for e in view.evaluations]
    assert list(evaluated.marker.color) == [e.round for e in view.evaluations]
    for e, text in zip(view.evaluations, evaluated.hovertext, strict=True):
        lines = text.split("<br>")
        assert lines[0] == f"round {e.round}, measured on 359 images"
        assert lines[1] == f"architecture <b>{e.arch.id}</b>, input {e.arch.resolution}²"
        assert f"width {list(e.arch.width)}" in lines
        assert f"MFLOPs (multiply-adds): {e.macs / 1e6:.4g}" in lines
        assert lines[-2:] == [
            f"top-1 (%): <b>{with_interval(e.top1_pct, 359, unit='')}</b>",
            f"anas extract runs/digits --arch {e.arch.id}",
        ]
        assert "latency" not in text


def test_published_models_say_what_was_published_for_them(tmp_path: Path) -> None:
    view = made_up(20)
    marks = traces_of(view)["published models, scored alike"]
    assert list(marks.text[:7]) == ["a0", "a1", "a2", "a3", "a4", "a5", "a6"]
    assert list(marks.y) == [baseline.evaluation.top1_pct for baseline in view.baselines]
    assert marks.hovertext[0].startswith("<b>attentive_nas_a0</b>")
    row = next(row for row in page_of(view, tmp_path).rows if row[0] == "attentive_nas_a0")
    first = view.baselines[0].evaluation
    assert row[1:3] == [first.arch.id, with_interval(first.top1_pct, first.images, unit="")]
    assert row[-1] == "77.3 (AttentiveNAS), 77.87 (AlphaNet)"


def test_answers_are_marked_and_listed_with_their_commands(tmp_path: Path) -> None:
    view = made_up(100, budgets=[("macs", 300e6), ("params", 12e6), ("macs", 1e6)])
    small, few, none = view.answers
    assert small.best is not None
    assert few.best is not None
    assert none.best is None
    best = traces_of(view)["best within a budget"]
    assert list(best.y) == [small.best.top1_pct, few.best.top1_pct]
    assert best.hovertext[0].startswith("the best with MFLOPs (multiply-adds) at most 300; ")
    listed = {row[0]: row[1:] for row in page_of(view, tmp_path).rows}
    assert listed[small.asked()][0] == small.best.arch.id
    assert listed[small.asked()][-1] == f"anas extract runs/digits --arch {small.best.arch.id}"
    assert listed[none.asked()][0] == "nothing evaluated is within it"
    assert listed[view.front[0].arch.id][-1] == f"anas extract runs/digits --arch {view.front[0].arch.id}"
    # A budget far from everything is in the table, and squeezes nothing in the figure.
    assert [shape.x0 for shape in figure_of(view).layout.shapes] == [300]


def test_each_cost_has_a_button_that_moves_every_trace() -> None:
    view = made_up(80, ("top1_pct", "latency_ms", "params"), budgets=[("macs", 300e6)])
    figure = figure_of(view)
    buttons = figure.layout.updatemenus[0].buttons
    assert [button.label for button in buttons] == ["latency ms", "params M", "MFLOPs", "size MB"]
    for button in buttons:
        assert [len(xs) for xs in button.args[0]["x"]] == [len(trace.y) for trace in figure.data]
        assert button.args[1]["xaxis.title.text"]
    assert list(figure.data[0].x) == [e.latency_ms for e in view.evaluations]
    assert buttons[2].args[0]["x"][0] == [e.macs / 1e6 for e in view.evaluations]
    assert [len(button.args[1]["shapes"]) for button in buttons] == [0, 0, 1, 0]
    # The line of the best is true of one cost each: of latency, of parameters, of no other.
    lines = [place for place, trace in enumerate(figure.data) if trace.mode == "lines"]
    seen = [[button.args[0]["visible"][place] for place in lines] for button in buttons]
    assert seen == [[True, False], [False, True], [False, False], [False, False]]
    assert [figure.data[place].visible for place in lines] == [True, False]
    for place, button in zip(lines, buttons, strict=False):
        xs, ys = button.args[0]["x"][place], list(figure.data[place].y)
        assert xs == sorted(xs)
        assert ys == sorted(ys)


def test_many_points_are_all_there_and_drawn_by_webgl() -> None:
    view = made_up(200)
    many = [replace(e, top1_pct=e.top1_pct + lap / 1000) for lap in range(12) for e in view.evaluations]
    assert len(many) > MANY
    figure = figure_of(replace(view, evaluations=many))
    assert list(figure.data[0].y) == [e.top1_pct for e in many]
    assert {trace.type for trace in figure.data} == {"scattergl"}
    assert {trace.type for trace in figure_of(view).data} == {"scatter"}


@pytest.mark.parametrize("count", [0, 1])
def test_few_points_make_a_page(count: int, tmp_path: Path) -> None:
    view = made_up(1, failures=5)
    if not count:
        view = SearchView("nothing", ("top1_pct", "macs"), [], [], "search split")
    text = " ".join(page_of(view, tmp_path).texts)
    assert ("evaluated" in traces_of(view)) == bool(count)
    assert ("5 could not be scored" in text) == bool(count)
    assert f"{count} evaluated" in text


def test_costs_that_are_not_known_are_left_out() -> None:
    view = made_up(10)
    old = [replace(e, size_bytes=0) for e in view.evaluations]
    figure = figure_of(replace(view, evaluations=old, front=[], answers=[], baselines=[]))
    assert [button.label for button in figure.layout.updatemenus[0].buttons] == ["MFLOPs", "params M"]
    assert "weights" not in figure.data[0].hovertext[0]


def test_text_from_outside_stays_text_and_no_network_is_used(tmp_path: Path) -> None:
    known = baselines(SearchSpace.load("attentive_nas"))
    hostile = made_up(
        20,
        title=HOSTILE,
        scored_by=HOSTILE,
        about={HOSTILE: HOSTILE},
        baselines=[replace(known[0], name=HOSTILE, published={HOSTILE: 1.0})],
        extract=lambda arch_id: Call("extract", HOSTILE + "\udcff", arch=arch_id),
    )
    page, harmless = page_of(hostile, tmp_path), page_of(made_up(20), tmp_path)
    assert page.scripts == harmless.scripts
    assert {tag for tag, _ in page.tags} <= {tag for tag, _ in harmless.tags}
    assert [one_line(HOSTILE)] * 2 in page.rows
    assert one_line(HOSTILE) in page.texts  # the title
    for trace in figure_of(hostile).data:  # plotly reads some markup in labels
        assert not re.search(r"<(?!/?b>|br>)|<b>\"", "".join((*(trace.text or ()), *(trace.hovertext or ()))))
    attributes = {name for _, attrs in page.tags for name in attrs}
    assert not attributes & {"src", "href", "srcset", "action", "data", "poster", "background"}
    policy = next(attrs["content"] for _, attrs in page.tags if "http-equiv" in attrs) or ""
    assert policy.startswith("default-src 'none'; ")
    assert "http" not in policy
