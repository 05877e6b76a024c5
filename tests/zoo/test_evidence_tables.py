"""Accuracy by class on cards, on a terminal and on the page."""

from __future__ import annotations

from pathlib import Path

import pytest
from catalog_entries import HOSTILE

from anas_zoo.entry import Accuracy, read_config, read_report
from anas_zoo.zoo import model_card
from anas_zoo.zoo.catalog.heat_map import heat_map
from anas_zoo.zoo.evidence_tables import class_tables, confusion_table

pytest_plugins = ["zoo_fixtures"]


def measured(classes: int, each: int = 4) -> Accuracy:
    """Every class with ``each`` images, of which two are taken for the next class."""
    confusion = {k: {k: each - 2, (k + 1) % classes: 2} for k in range(classes)}
    return Accuracy(
        source="x",
        split="test",
        images=classes * each,
        top1_pct=100 * (each - 2) / each,
        ece_pct=3.25,
        confusion=confusion,
    )


def test_few_classes_are_a_matrix_and_many_a_list() -> None:
    heads, rows = confusion_table(measured(3), ["a", "b", "c"])
    assert heads == ["is / taken for", "a", "b", "c"]
    assert rows == [["a", "2", "2", "·"], ["b", "·", "2", "2"], ["c", "2", "·", "2"]]
    heads, rows = confusion_table(measured(40), None)
    assert heads == ["is", "taken for", "images"]
    assert (len(rows), rows[0]) == (20, ["0", "1", "2"])
    titles = list(class_tables(measured(40), None))
    assert titles == ["the 20 least accurate of 40 classes", "most frequent confusions"]
    assert class_tables(Accuracy(source="x", split="test", images=4, top1_pct=50.0), None) == {}


def test_a_class_that_the_network_lacks_is_a_number() -> None:
    assert confusion_table(measured(3), ["a"])[0] == ["is / taken for", "a", "1", "2"]


def test_the_card_has_classes_and_confusions(published: Path) -> None:
    config, report = read_config(published), read_report(published)
    plain = model_card(config, report)
    assert "By class" not in plain
    assert "alibration error" not in plain
    card = model_card(config, report.model_copy(update={"accuracy": measured(10, each=8)}))
    assert "| 75.00 % (64.5–83.2) | 3.25 % | 80 | test | x | native |" in card
    assert "| digit 0 | 75.00 % (40.9–92.9) | 8 | digit 1 (2) |" in card
    assert "| is / taken for | digit 0 | digit 1 |" in card
    assert "What images are (rows), and what they were taken for (columns):" in card


def test_a_heat_map_has_a_square_for_each_pair_with_images() -> None:
    drawn = heat_map(measured(10), ["a rather long name of a class", *"bcdefghij"])
    assert drawn is not None
    assert drawn.numbered
    assert len(drawn.squares) == 20
    assert {one.count for one in drawn.squares} == {2}
    first = drawn.squares[0]
    assert (first.x, first.y, first.correct) == (drawn.start, drawn.start, True)
    assert (
        first.title == "a rather long name of a class: 2 of 4 images taken for a rather long name of a class"
    )
    assert drawn.names[0][0] == "a rather long n…"
    assert all(one.x + drawn.step < drawn.side for one in drawn.squares)
    small = heat_map(measured(62), None)
    assert small is not None
    assert not small.numbered
    assert heat_map(measured(101), None) is None  # a list then


@pytest.mark.parametrize("classes", [3, 30])
def test_names_of_classes_are_never_markup(published: Path, classes: int) -> None:
    labels = [f"{HOSTILE}|{number}" for number in range(classes)]
    config = read_config(published).model_copy(update={"label_names": tuple(labels)})
    card = model_card(config, read_report(published).model_copy(update={"accuracy": measured(classes)}))
    section = card[card.index("### By class") : card.index("## Cost")]
    assert "<" not in section.replace("\\<", "")
