"""Pictures are read back: their colours must be those of the values, and no text may lie on another."""

from __future__ import annotations

import io
from dataclasses import replace
from itertools import combinations
from typing import Any

import matplotlib as mpl
import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from numpy.typing import NDArray
from PIL import Image

from pipeline.explanation.figure import MARGIN, PHOTO_GAP, _draw, png
from pipeline.explanation.figure_content import FigureContent, Speech
from pipeline.explanation.figure_text import DPI
from pipeline.explanation.transcripts import ScoredWord

SEGMENTS = np.repeat(np.arange(4), 8)


def speech(values: tuple[float, ...] = (0.5, -0.2, 0.1, 0.0), words: int = 3) -> Speech:
    generator = np.random.default_rng(0)
    frame_map = np.array(values)[SEGMENTS] / 8
    scored = tuple(ScoredWord(f"word{n}", n / 10, (n + 1) / 10, (-1) ** n * n / 10) for n in range(words))
    waveform = generator.uniform(-0.8, 0.8, 32_000).astype(np.float32)
    return Speech(
        waveform, frame_map, SEGMENTS, frame_map >= frame_map.min() + 1e-9, 2 / 32, 30.0, scored, "what is left"
    )


def explained(**changes: Any) -> FigureContent:
    photo = Image.fromarray(np.full((60, 90, 3), 128, dtype=np.uint8))
    image_map = np.array([[1.0, -1.0], [0.0, 0.5]]).repeat(8, axis=0).repeat(8, axis=1)
    values = {"image": 0.5, "speech": 0.4}
    found = FigureContent(
        "1-1", "happy", 0.831, "sad", "happy", "logit", "black and silence", 1.2, 0.3, values, 0.1, photo, image_map,
        speech(), "a tweet with $5 and 10% 🤮",
    )  # fmt: skip
    return replace(found, **changes)


def pixels(data: bytes) -> NDArray[np.int64]:
    return np.asarray(Image.open(io.BytesIO(data)).convert("RGB")).astype(np.int64)


def drawn(found: FigureContent) -> Figure:
    with mpl.rc_context():
        mpl.rcdefaults()
        return _draw(found)


LONG = "a tweet that goes on and on with #hashtags and https://t.co/aBcDeFgHiJ links " * 4
VARIANTS = {
    "usual": {},
    "portrait": {"photo": Image.new("RGB", (300, 900))},
    "panorama": {"photo": Image.new("RGB", (900, 90))},
    "long": {"tweet": LONG, "speech": speech(words=60), "name": "n" * 150},
    "no words": {"speech": replace(speech(), words=(), text_kept=""), "tweet": None, "truth": None},
    "image only": {"speech": None, "modality_values": {"image": 0.9}, "synergy": None},
    "speech only": {"photo": None, "image_map": None, "modality_values": {"speech": -0.9}, "synergy": None},
    "large values": {"v_full": -12345.6, "v_empty": 0.0, "modality_values": {"image": -12000.0, "speech": -345.6}},
    "nothing": {
        "modality_values": {"image": 0.0, "speech": 0.0}, "image_map": np.zeros((16, 16)), "synergy": 0.0,
        "speech": speech((0.0, 0.0, 0.0, 0.0)),
    },
}  # fmt: skip


@pytest.mark.parametrize("changes", VARIANTS.values(), ids=list(VARIANTS))
def test_no_text_lies_on_another_or_outside_of_the_picture(changes: dict[str, Any]) -> None:
    figure = drawn(explained(**changes))
    figure.canvas.draw()  # else labels of axes are not in their places
    renderer = figure.canvas.get_renderer()  # type: ignore[attr-defined]
    texts = [text for text in figure.findobj(Text) if text.get_visible() and text.get_text().strip()]
    boxes = [(text.get_text(), text.get_window_extent(renderer)) for text in texts]
    assert len(boxes) > 10
    for name, box in boxes:
        assert box.x0 >= 0 and box.x1 <= figure.bbox.width, name
        assert box.y0 >= 0 and box.y1 <= figure.bbox.height, name
    for (first, a), (second, b) in combinations(boxes, 2):
        across = min(a.x1, b.x1) - max(a.x0, b.x0)
        down = min(a.y1, b.y1) - max(a.y0, b.y0)
        assert across <= 1 or down <= 1, (first, second)


def test_equal_inputs_give_equal_bytes_whatever_the_users_settings() -> None:
    first = png(explained())
    with mpl.rc_context({"font.size": 30, "savefig.dpi": 50, "axes.facecolor": "red", "text.usetex": False}):
        assert png(explained()) == first
        assert mpl.rcParams["font.size"] == 30
    assert png(explained(score=0.5)) != first


def test_a_picture_is_1200_pixels_wide_and_says_nothing_of_its_maker() -> None:
    image = Image.open(io.BytesIO(png(explained())))
    assert image.size[0] == 1200
    assert set(image.info) <= {"dpi"}


def test_cells_for_the_label_are_orange_against_it_purple_and_none_grey() -> None:
    found = explained()
    figure = drawn(found)
    picture = pixels(png(found))
    axes = figure.axes[1]  # the map
    box = axes.get_position()
    height, width = picture.shape[:2]

    def colour(across: float, down: float) -> NDArray[np.int64]:
        x = int((box.x0 + across * box.width) * width)
        y = int((1 - box.y1 + down * box.height) * height)
        found_there: NDArray[np.int64] = picture[y, x]
        return found_there

    assert box.x0 * 10 == pytest.approx(MARGIN + (figure.axes[0].get_position().width * 10) + PHOTO_GAP)
    most, least, none, some = colour(0.25, 0.25), colour(0.75, 0.25), colour(0.25, 0.75), colour(0.75, 0.75)
    assert most[0] > most[2] + 60
    assert least[2] > least[1] + 40
    assert np.ptp(none) < 12
    assert some[0] > some[2] + 30
    assert most.sum() < some.sum()


def test_the_waveform_is_yellow_where_the_value_is_largest_and_blue_where_it_is_least() -> None:
    picture = pixels(png(explained(photo=None, image_map=None)))
    figure = drawn(explained(photo=None, image_map=None))
    axes = next(axes for axes in figure.axes if axes.get_xlabel() == "seconds")
    box = axes.get_position()
    row = int((1 - (box.y0 + box.y1) / 2) * picture.shape[0]) + 3
    columns = ((box.x0 + (np.arange(4) + 0.5) / 4 * box.width) * picture.shape[1]).astype(int)
    best, least, *_ = (picture[row, column] for column in columns)
    assert best[0] > 200 and best[1] > 180 and best[2] < 120
    assert least[2] > least[0] and least[0] < 40


def test_right_and_wrong_are_said_in_words() -> None:
    def title(found: FigureContent) -> str:
        return next(text.get_text() for text in drawn(found).findobj(Text) if "Predicted" in text.get_text())

    assert title(explained()) == "Predicted happy (83.1%), pseudo-label sad: wrong"
    assert title(explained(truth="happy")) == "Predicted happy (83.1%), pseudo-label happy: correct"
    assert title(explained(truth=None)) == "Predicted happy (83.1%)"


def test_the_explained_label_and_what_is_silenced_are_named() -> None:
    texts = [text.get_text() for text in drawn(explained(explained="sad")).findobj(Text)]
    assert "Predicted happy (83.1%), pseudo-label sad: wrong" in texts
    assert any("“sad”;" in text for text in texts)
    assert any("against “sad”" in text for text in texts)
    assert not any("“happy”" in text for text in texts)
    assert "hatched: below percentile 30, silenced (25% of the speech)" in texts


def test_the_resolution_is_that_of_the_measured_text() -> None:
    assert drawn(explained()).dpi == DPI
