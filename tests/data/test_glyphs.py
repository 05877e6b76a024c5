from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageFont

from anas_zoo.core.errors import DataError
from anas_zoo.data import glyphs
from anas_zoo.data.glyph_drawing import Inks, draw_glyph
from anas_zoo.data.glyphs import CHARACTERS, TEST_FONTS, TRAIN_FONTS, GlyphsSource, find_fonts

NOWHERE = "\ue123"  # for private use: no font has it, so it shows as .notdef


@pytest.fixture(scope="module")
def source() -> GlyphsSource:
    return GlyphsSource()


def pixels(source: GlyphsSource, indices: range) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.stack([np.asarray(source.image(index)) for index in indices])


def test_the_classes_and_the_parts(source: GlyphsSource) -> None:
    assert source.label_names == tuple(CHARACTERS)
    assert len(set(CHARACTERS)) == 47
    assert source.labels.dtype == np.int64
    assert source.labels[:49].tolist() == [*range(47), 0, 1]
    assert source.test_indices is not None
    assert source.test_indices.tolist() == list(range(18800, 18800 + 2820))
    assert np.bincount(np.delete(source.labels, source.test_indices)).tolist() == [400] * 47
    assert np.bincount(source.labels[source.test_indices]).tolist() == [60] * 47


def test_no_font_is_in_both_parts() -> None:
    train, test = ({font.read_bytes() for font in find_fonts(names)} for names in (TRAIN_FONTS, TEST_FONTS))
    assert len(train) == len(TRAIN_FONTS)
    assert len(test) == len(TEST_FONTS)
    assert not train & test
    families = [
        {ImageFont.truetype(str(font), 8).getname()[0] for font in find_fonts(names)}
        for names in (TRAIN_FONTS, TEST_FONTS)
    ]
    assert not families[0] & families[1]


def test_each_part_is_drawn_in_its_own_fonts(monkeypatch: pytest.MonkeyPatch) -> None:
    source = GlyphsSource(train_per_class=3, test_per_class=2)
    used: list[tuple[str, str]] = []

    def noted(inks: Inks, font: Path, character: str, strays: str, rng: np.random.Generator) -> Image.Image:
        used.append((font.stem, character))
        return draw_glyph(inks, font, character, strays, rng)

    monkeypatch.setattr(glyphs, "draw_glyph", noted)
    for index in range(len(source.labels)):
        source.image(index)
    assert [character for _, character in used] == [CHARACTERS[label] for label in source.labels]
    assert {font for font, _ in used[: 3 * 47]} == set(TRAIN_FONTS)
    assert {font for font, _ in used[3 * 47 :]} == set(TEST_FONTS)


@pytest.mark.parametrize("name", TRAIN_FONTS + TEST_FONTS)
def test_a_font_has_every_character(name: str) -> None:
    inks, font = Inks(), find_fonts((name,))[0]
    missing = inks.ink(font, NOWHERE)
    drawn = {character: inks.ink(font, character) for character in CHARACTERS}
    for character, ink in drawn.items():
        assert np.asarray(ink).max() == 255, character
        assert min(ink.size) > 8, character
        assert ink != missing, character
        assert not np.asarray(ink)[[0, -1], :].any(), character  # a clear border: nothing is cut off
        assert not np.asarray(ink)[:, [0, -1]].any(), character
    assert len({(ink.size, ink.tobytes()) for ink in drawn.values()}) == len(CHARACTERS)


@settings(max_examples=20, deadline=None)
@given(st.lists(st.integers(0, 47 * 460 - 1), min_size=1, max_size=10))
def test_an_image_does_not_depend_on_what_was_drawn_before(order: list[int]) -> None:
    one = GlyphsSource()
    together = {index: one.image(index).tobytes() for index in order}
    assert together == {index: GlyphsSource().image(index).tobytes() for index in reversed(order)}


def test_images_do_not_depend_on_how_many_there_are(source: GlyphsSource) -> None:
    few = GlyphsSource(train_per_class=2, test_per_class=1)
    assert few.image(50) == source.image(50)
    assert few.image(94 + 46) == source.image(18800 + 46)


def test_global_generators_are_left_alone(source: GlyphsSource) -> None:
    before = np.random.get_state(legacy=False)["state"]["key"].tolist()  # noqa: NPY002
    source.image(7)
    assert np.random.get_state(legacy=False)["state"]["key"].tolist() == before  # noqa: NPY002


def test_images_are_small_rgb_and_differ(source: GlyphsSource) -> None:
    seen = set()
    for index in range(18800 - 47 * 5, 18800 + 47 * 5):
        image = source.image(index)
        assert image.mode == "RGB"
        assert image.size == (32, 32)
        assert np.asarray(image).std() > 2
        seen.add(image.tobytes())
    assert len(seen) == 470


@pytest.mark.parametrize("index", [-1, 18800 + 2820])
def test_there_are_no_images_outside(source: GlyphsSource, index: int) -> None:
    with pytest.raises(IndexError, match="of 21620"):
        source.image(index)


def test_a_copy_for_another_process_draws_the_same(source: GlyphsSource) -> None:
    images = [source.image(index).tobytes() for index in range(60)]
    packed = pickle.dumps(source)
    assert len(packed) < 1_000_000  # labels, but no ink
    copy = pickle.loads(packed)
    assert [copy.image(index).tobytes() for index in range(60)] == images
    assert copy.fingerprint() == source.fingerprint()


def test_the_fingerprint_tells_collections_apart(source: GlyphsSource) -> None:
    others = [GlyphsSource(399), GlyphsSource(400, 59), GlyphsSource(seed=1), source, GlyphsSource()]
    prints = [other.fingerprint() for other in others]
    assert len(set(prints)) == 4
    assert prints[-2] == prints[-1]


def test_the_fingerprint_sees_another_rasteriser(
    source: GlyphsSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = source.fingerprint()

    def darker(*arguments: object) -> Image.Image:
        return draw_glyph(*arguments).point(lambda value: value // 2)  # type: ignore[arg-type]

    monkeypatch.setattr(glyphs, "draw_glyph", darker)
    assert source.fingerprint() != before


def test_a_missing_font_is_named() -> None:
    with pytest.raises(DataError, match=r"no font Nonesuch\.ttf in .*; glyphs needs"):
        find_fonts(("DejaVuSans", "Nonesuch"))
