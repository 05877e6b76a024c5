"""The page of a search: read back as a browser would, without one."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import plotly.graph_objects as go
import pytest
from searched import HOSTILE, made_up, references

from anas_zoo.pipeline.search_view import page as search_page
from anas_zoo.pipeline.search_view.page import write_page
from anas_zoo.pipeline.search_view.traces import MANY
from anas_zoo.pipeline.search_view.view import SearchView
from anas_zoo.searching import Evaluation
from anas_zoo.space import Architecture, SearchSpace

FIRST_COST = 7  # of a point's customdata; its beginning is the architecture's id and choices, then a note


class Page(HTMLParser):
    """What a browser would see of a page."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.rows: list[list[str]] = []
        self.texts: list[str] = []
        self.source = path.read_text(encoding="utf-8")
        # As browsers do: a script ends at the first closing tag. Only "<!--" in one could change that.
        self.scripts: list[str] = re.findall(r"<script[^>]*>(.*?)</script>", self.source, re.DOTALL)
        assert not [text for text in self.scripts if "<!--" in text]
        self.feed(re.sub(r"(<script[^>]*>).*?</script>", r"\1</script>", self.source, flags=re.DOTALL))
        self.close()
        (self.data,) = (json.loads(text) for text in self.scripts if text.startswith("{"))

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
        elif tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_data(self, data: str) -> None:
        if self.lasttag in ("td", "th", "code") and self.rows and data.strip():
            self.rows[-1][-1] += data
        else:
            self.texts.append(data)

    @property
    def runnable(self) -> list[str]:
        """The scripts that a browser runs."""
        return [text for text in self.scripts if not text.startswith("{")]

    @property
    def traces(self) -> dict[str, dict[str, Any]]:
        """The traces that have a name."""
        return {trace["name"]: trace for trace in self.data["figure"]["data"] if "name" in trace}


def page_of(view: SearchView, folder: Path) -> Page:
    write_page(folder / "page.html", view)
    return Page(folder / "page.html")


def architecture_of(point: list[Any]) -> Architecture:
    return Architecture(point[1], *(tuple(choices) for choices in point[2:6]))


def test_every_evaluation_is_there_with_its_architecture_and_costs(tmp_path: Path) -> None:
    view = made_up(150)
    page = page_of(view, tmp_path)
    evaluated = page.traces["evaluated"]
    assert len(evaluated["x"]) == len(evaluated["y"]) == len(evaluated["customdata"]) == len(view.evaluations)
    for e, x, y, point in zip(
        view.evaluations, evaluated["x"], evaluated["y"], evaluated["customdata"], strict=True
    ):
        assert (x, y, point[0]) == (e.macs / 1e6, e.top1_pct, e.arch.id)
        assert architecture_of(point) == e.arch
        assert point[FIRST_COST:] == [e.macs / 1e6, e.params / 1e6, e.size_bytes / 1e6]
        assert f"round {e.round}" in point[6]
    assert evaluated["marker"]["color"] == [e.round for e in view.evaluations]
    hover = evaluated["hovertemplate"]
    for place, title in enumerate(["MFLOPs (multiply-adds)", "parameters (M)", "float32 weights (MB)"]):
        assert f"{title}: %{{customdata[{FIRST_COST + place}]" in hover
    assert "latency" not in hover
    for name in ("width", "depth", "kernel size", "expand ratio", "input", "top-1 (%)"):
        assert name in hover


def test_the_script_reads_points_in_the_order_in_which_they_are_written(tmp_path: Path) -> None:
    view = made_up(3)
    (names,) = re.findall(r"const \[([\w, ]+)\] = point.customdata", page_of(view, tmp_path).runnable[1])
    assert names.split(", ") == ["id", *view.evaluations[0].arch.to_dict()]


def test_known_models_say_what_was_published_for_them(tmp_path: Path) -> None:
    view = made_up(20)
    page = page_of(view, tmp_path)
    known = page.traces["known models, scored alike"]
    assert known["text"][:7] == ["a0", "a1", "a2", "a3", "a4", "a5", "a6"]
    assert known["y"] == [reference.evaluation.top1_pct for reference in view.references]
    assert "<b>attentive_nas_a0</b>" in known["customdata"][0][6]
    assert "published, not measured here: 77.3 % by AttentiveNAS's weights" in known["customdata"][0][6]
    row = next(row for row in page.rows if row[0] == "attentive_nas_a0")
    first = view.references[0].evaluation
    assert row[1:4] == [first.arch.id, f"{first.top1_pct:.2f}", "77.3 (AttentiveNAS), 77.87 (AlphaNet)"]


def test_answers_are_marked_and_listed_with_their_commands(tmp_path: Path) -> None:
    view = made_up(100, budgets=[("macs", 300e6), ("params", 12e6), ("macs", 1e6)])
    page = page_of(view, tmp_path)
    small, few, none = view.answers
    assert small.best is not None
    assert few.best is not None
    assert none.best is None
    best = page.traces["best within a budget"]
    assert [point[0] for point in best["customdata"]] == [small.best.arch.id, few.best.arch.id]
    assert "the best with MFLOPs (multiply-adds) at most 300" in best["customdata"][0][6]
    listed = {row[0]: row[1:] for row in page.rows}
    assert listed[small.asked()][0] == small.best.arch.id
    assert listed[small.asked()][-1] == f"anas extract runs/digits --arch {small.best.arch.id}"
    assert listed[none.asked()] == ["nothing evaluated is within it"]
    # A budget far from everything is told in the table, and squeezes nothing in the figure.
    assert [shape["x0"] for shape in page.data["figure"]["layout"]["shapes"]] == [300]


def test_each_cost_has_a_button_that_moves_every_trace(tmp_path: Path) -> None:
    view = made_up(80, ("top1_pct", "latency_ms", "params"), budgets=[("macs", 300e6)])
    figure = page_of(view, tmp_path).data["figure"]
    buttons = figure["layout"]["updatemenus"][0]["buttons"]
    assert [button["label"] for button in buttons] == ["latency ms", "params M", "MFLOPs", "size MB"]
    for button in buttons:
        moved, changed = button["args"]
        assert [len(xs) for xs in moved["x"]] == [len(trace["y"]) for trace in figure["data"]]
        assert changed["xaxis.title.text"]
    assert figure["data"][0]["x"] == [e.latency_ms for e in view.evaluations]
    assert buttons[2]["args"][0]["x"][0] == [e.macs / 1e6 for e in view.evaluations]
    assert [len(button["args"][1]["shapes"]) for button in buttons] == [0, 0, 1, 0]
    # The line of the best is true of one cost each: of latency, of parameters, of no other.
    lines = [place for place, trace in enumerate(figure["data"]) if trace.get("mode") == "lines"]
    seen = [[button["args"][0]["visible"][place] for place in lines] for button in buttons]
    assert seen == [[True, False], [False, True], [False, False], [False, False]]
    assert [figure["data"][place]["visible"] for place in lines] == [True, False]
    for place, button in zip(lines, buttons, strict=False):
        xs, ys = button["args"][0]["x"][place], figure["data"][place]["y"]
        assert xs == sorted(xs)
        assert ys == sorted(ys)


def test_the_figure_holds_only_what_plotly_knows(tmp_path: Path) -> None:
    view = made_up(30, ("top1_pct", "macs", "params"), tested={"digits_s": ({"macs": 3e8}, 70.0)})
    go.Figure(page_of(view, tmp_path).data["figure"])  # raises for a key or value it does not know


def test_twenty_thousand_points_are_all_there(tmp_path: Path) -> None:
    view = made_up(200)
    many = [replace(e, top1_pct=e.top1_pct + lap / 1000) for lap in range(110) for e in view.evaluations]
    page = page_of(replace(view, evaluations=many), tmp_path)
    assert len(many) > 20_000 > MANY
    assert page.traces["evaluated"]["y"] == [e.top1_pct for e in many]
    assert {trace["type"] for trace in page.data["figure"]["data"]} == {"scattergl"}
    assert (tmp_path / "page.html").stat().st_size < 12e6


@pytest.mark.parametrize("count", [0, 1, 2])
def test_few_points_make_a_page(count: int, tmp_path: Path) -> None:
    view = made_up(count, failures=5) if count else made_up(1, evaluations=[], front=[], answers=[])
    page = page_of(view, tmp_path)
    assert ("evaluated" in page.traces) == bool(count)
    assert ("5 could not be scored" in " ".join(page.texts)) == bool(count)
    assert f"{count} evaluated" in " ".join(page.texts)


def test_nothing_at_all_makes_a_page(tmp_path: Path) -> None:
    view = SearchView("nothing", ("top1_pct", "macs"), [], [], "search split")
    assert page_of(view, tmp_path).data == {
        "figure": {"data": [], "layout": page_of(view, tmp_path).data["figure"]["layout"]},
        "extract_command": None,
    }


def test_costs_that_are_not_known_are_left_out(tmp_path: Path) -> None:
    view = made_up(10)
    old: list[Evaluation] = [replace(e, size_bytes=0) for e in view.evaluations]
    page = page_of(replace(view, evaluations=old, front=[], answers=[], references=[]), tmp_path)
    labels = [button["label"] for button in page.data["figure"]["layout"]["updatemenus"][0]["buttons"]]
    assert labels == ["MFLOPs", "params M"]


def hostile_view() -> SearchView:
    known = references(SearchSpace.load("attentive_nas"))
    return made_up(
        20,
        title=HOSTILE,
        scored_by=HOSTILE,
        about={HOSTILE: HOSTILE},
        references=[replace(known[0], name=HOSTILE, published={HOSTILE: 1.0})],
        tested={HOSTILE: ({"macs": 3e8}, 70.0)},
        extract_command=f"anas extract '{HOSTILE}' --arch {{arch_id}}",
    )


def test_text_from_outside_stays_text(tmp_path: Path) -> None:
    page = page_of(hostile_view(), tmp_path)
    harmless = page_of(made_up(20, tested={"x": ({"macs": 3e8}, 70.0)}), tmp_path)
    assert page.runnable == harmless.runnable
    assert {tag for tag, _ in page.tags} <= {tag for tag, _ in harmless.tags}
    shown = "</script><script>alert(1)</script><!-- $a$ & <b>\"'\ufffd\ufffd\u2028\ufffd %{x} {{title}}"
    assert [shown, shown] in page.rows
    assert shown in page.texts  # the title
    assert page.data["extract_command"] == f"anas extract '{shown}' --arch {{arch_id}}"
    for trace in ("known models, scored alike", "published entries, on the test split"):
        assert "<" not in page.traces[trace]["text"][0]  # plotly reads some markup in labels
    assert "<script" not in page.traces["known models, scored alike"]["customdata"][0][6]
    assert not set("\x00\x07").intersection(page.source)


def test_the_page_needs_and_may_use_no_network(tmp_path: Path) -> None:
    page = page_of(hostile_view(), tmp_path)
    attributes = {name for _, attrs in page.tags for name in attrs}
    assert not attributes & {"src", "href", "srcset", "action", "data", "poster", "background"}
    assert not [name for name in attributes if name.startswith("on")]
    assert not {tag for tag, _ in page.tags} & {"link", "img", "iframe", "object", "embed", "base"}
    style = page.source.split("<style>")[1].split("</style>")[0]
    assert "url(" not in style
    assert "@import" not in style
    policy = next(attrs["content"] for _, attrs in page.tags if "http-equiv" in attrs) or ""
    assert policy.startswith("default-src 'none'; ")
    assert "http" not in policy
    assert "script-src 'unsafe-inline'" not in policy
    hashes = [base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() for text in page.runnable]
    assert re.findall(r"'sha256-([^']+)'", policy) == hashes
    assert len(hashes) == 2


def test_the_same_view_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("one", "two"):
        write_page(tmp_path / name, made_up(40))
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()


def test_the_parts_of_the_page_lie_beside_the_module() -> None:
    script = Path(search_page.__file__).with_suffix(".js").read_text(encoding="utf-8")
    assert "innerHTML" not in re.sub(r"//.*", "", script)
    assert len(script.splitlines()) < 60
