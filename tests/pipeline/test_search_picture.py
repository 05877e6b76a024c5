"""The picture of a search: what is drawn, and that labels can be read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection, PathCollection
from matplotlib.figure import Figure
from PIL import Image
from searched import HOSTILE, made_up

from anas_zoo.core.intervals import interval_pct
from anas_zoo.pipeline.search_view.page import write_page
from anas_zoo.pipeline.search_view.picture import draw_picture
from anas_zoo.pipeline.search_view.view import SearchView, wants_log

THREE = ("top1_pct", "macs", "latency_ms", "params")


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that are saved."""
    seen, save = list[Figure](), Figure.savefig

    def remember(figure: Figure, *args: Any, **kwargs: Any) -> None:
        seen.append(figure)
        save(figure, *args, **kwargs)

    monkeypatch.setattr(Figure, "savefig", remember)
    return seen


def line_of(axes: Axes, place: int) -> list[list[float]]:
    """The two coordinates of a line's points."""
    return np.asarray(axes.lines[place].get_xydata()).T.tolist()  # type: ignore[no-any-return]


def legend_of(figure: Figure) -> list[str]:
    return [text.get_text() for text in figure.legends[0].get_texts()]


def tick_labels(figure: Figure, panel: int = 0) -> list[str]:
    axes = figure.axes[panel]
    left, right = axes.get_xlim()
    return [t.get_text() for t in axes.get_xticklabels() if left <= t.get_position()[0] <= right]


def test_one_cost_is_one_panel_with_all_of_it(drawn: list[Figure], tmp_path: Path) -> None:
    view = made_up(150, tested={"mine": ({"macs": 4e8}, 70.0)})
    draw_picture(tmp_path / "front.png", view)
    (figure,) = drawn
    (axes,) = figure.axes
    assert axes.get_xscale() == "log"
    assert axes.get_xlabel() == "MFLOPs (multiply-adds)"
    assert axes.get_ylabel() == f"top-1 (%)\n{view.scored_by}"
    assert figure.get_suptitle() == view.title
    marks = [item for item in axes.collections if isinstance(item, PathCollection)]
    points, known, tested = (np.asarray(item.get_offsets()) for item in marks)
    (bars,) = (item for item in axes.collections if isinstance(item, LineCollection))
    first = view.front[0]
    assert bars.get_segments()[0][:, 1].tolist() == pytest.approx(interval_pct(first.top1_pct, first.images))
    assert len(bars.get_segments()) == len(view.front)
    assert points.tolist() == [[e.macs / 1e6, e.top1_pct] for e in view.evaluations]
    assert known.tolist() == [[r.evaluation.macs / 1e6, r.evaluation.top1_pct] for r in view.baselines]
    assert tested.tolist() == [[400.0, 70.0]]
    assert axes.lines[0].get_drawstyle() == "steps-post"
    assert line_of(axes, 0) == [[e.macs / 1e6 for e in view.front], [e.top1_pct for e in view.front]]
    texts = [text.get_text() for text in axes.texts]
    assert {"a0", "a1", "a2", "a3", "a4", "a5", "a6", "mine\n70.00 %", "≤ 300", "≤ 500"} <= set(texts)
    assert legend_of(figure) == [
        "evaluated",
        "Pareto front",
        "best within a budget",
        "published models",
        "published entries, on the test split",
    ]
    with Image.open(tmp_path / "front.png") as image:
        assert image.format == "PNG"
        assert min(image.size) > 500
        assert "Software" not in image.info


def test_each_cost_has_a_panel_up_to_three(drawn: list[Figure], tmp_path: Path) -> None:
    view = made_up(100, THREE, budgets=[("latency_ms", 10.0), ("size_bytes", 40e6)])
    draw_picture(tmp_path / "front.png", view)
    (figure,) = drawn
    assert [axes.get_xlabel() for axes in figure.axes] == [
        "MFLOPs (multiply-adds)",
        "latency (ms)",
        "parameters (M)",
    ]
    for axes in figure.axes:  # each line rises, though the front of four objectives does not
        assert line_of(axes, 0)[1] == sorted(line_of(axes, 0)[1])
        assert len(line_of(axes, 1)[0]) == len(view.front)
    rings = [[line.get_label() for line in axes.lines].count("best within a budget") for axes in figure.axes]
    assert rings == [0, 1, 0]


def test_a_budget_in_a_cost_that_was_not_weighed_is_seen_too(drawn: list[Figure], tmp_path: Path) -> None:
    draw_picture(tmp_path / "front.png", made_up(60, budgets=[("params", 12e6)]))
    (figure,) = drawn
    assert [axes.get_xlabel() for axes in figure.axes] == ["MFLOPs (multiply-adds)", "parameters (M)"]
    assert "≤ 12" in [text.get_text() for text in figure.axes[1].texts]
    assert line_of(figure.axes[1], 0) == [[], []]  # no line: nobody asked for few parameters


@pytest.mark.parametrize(
    ("space", "objective", "wanted"),
    [
        ("digits", "macs", {"0.2", "0.5", "1"}),
        ("attentive_nas", "params", {"10", "20"}),
        ("attentive_nas", "macs", {"200", "500", "1000"}),
    ],
)
def test_tick_labels_are_plain_numbers(
    space: str, objective: str, wanted: set[str], drawn: list[Figure], tmp_path: Path
) -> None:
    draw_picture(tmp_path / "x.png", made_up(120, ("top1_pct", objective), space=space, budgets=[]))
    labels = tick_labels(drawn[0])
    assert wanted <= set(labels)
    assert 3 <= len(labels) <= 10
    assert not [label for label in labels if "e" in label or "$" in label]


def test_a_narrow_range_is_linear() -> None:
    assert not wants_log([2.0, 5.9])
    assert wants_log([2.0, 6.1])
    assert not wants_log([])
    assert not wants_log([0.0, 5.0])


def test_what_lies_far_away_does_not_squeeze_the_rest(drawn: list[Figure], tmp_path: Path) -> None:
    view = made_up(200, budgets=[("macs", 1e6), ("macs", 300e6)])
    bad = [replace(e, top1_pct=0.1) for e in view.evaluations[:5]]
    draw_picture(tmp_path / "x.png", replace(view, evaluations=[*bad, *view.evaluations[5:]]))
    (axes,) = drawn[0].axes
    low, high = axes.get_ylim()
    assert 45 < low < min(r.evaluation.top1_pct for r in view.baselines)
    assert high > max(e.top1_pct for e in view.front)
    assert axes.get_xlim()[0] > 100
    assert "≤ 1" not in [text.get_text() for text in axes.texts]


def test_names_lie_on_no_other_and_within_the_panel(drawn: list[Figure], tmp_path: Path) -> None:
    tested = {
        f"model_{i}": ({"macs": macs * 1e6}, 70.0) for i, macs in enumerate((200, 205, 260, 1900, 2000))
    }
    draw_picture(tmp_path / "x.png", made_up(60, budgets=[], baselines=[], tested=tested))
    (axes,) = drawn[0].axes
    panel, boxes = axes.get_window_extent(), [text.get_window_extent() for text in axes.texts]
    marks = axes.transData.transform([(costs["macs"] / 1e6, top1) for costs, top1 in tested.values()])
    assert len(boxes) == len(tested)
    for number, box in enumerate(boxes):
        assert panel.x0 <= box.x0 < box.x1 <= panel.x1
        assert not any(box.overlaps(other) for other in boxes[number + 1 :])
        assert not any(box.contains(*mark) for mark in marks)


def nothing() -> SearchView:
    return SearchView("nothing", ("top1_pct", "macs"), [], [], "search split")


@pytest.mark.parametrize("view", [nothing(), made_up(1, baselines=[])])
def test_few_points_make_a_picture(view: SearchView, tmp_path: Path) -> None:
    draw_picture(tmp_path / "x.png", view)
    with Image.open(tmp_path / "x.png") as image:
        image.verify()


def test_any_name_can_be_drawn(drawn: list[Figure], tmp_path: Path) -> None:
    known = made_up(1).baselines[0]
    named = [replace(known, name=HOSTILE), replace(known, name="模型 $\\frac$"), replace(known, name="_x")]
    view = made_up(
        10,
        title=HOSTILE * 4,
        scored_by="$\\bad{$ " + HOSTILE,
        baselines=named,
        tested={"_hidden $\\": ({"macs": 3e8}, 60.0)},
    )
    draw_picture(tmp_path / "x.png", view)
    texts = [text.get_text() for text in drawn[0].axes[0].texts]
    assert {"模型 $\\frac$", "_x", "_hidden $\\\n60.00 %"} <= set(texts)


def test_the_same_view_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        draw_picture(tmp_path / f"{name}.png", made_up(20))
        write_page(tmp_path / f"{name}.html", made_up(20))
    for suffix in ("png", "html"):
        assert (tmp_path / f"one.{suffix}").read_bytes() == (tmp_path / f"two.{suffix}").read_bytes()
