"""Pictures of the eight FI emotions, drawn: a scene, a look (colours and contrast), a camera.

Scene and look lean towards the class and overlap with others, as far as the constants below say. FI's sample and the
tweets' pictures come from the same hand, so that what an image teacher learns on one holds on the other.
"""

from collections.abc import Callable, Sequence

import numpy as np
from PIL import Image, ImageEnhance

from pipeline.sample import scenes, scenes_dark
from pipeline.sample.canvas import Canvas, Look, Rng
from pipeline.sample.defects import encode_jpeg

# What most people photograph most of the time; no emotion of FI, but a subject all the same.
EVERYDAY = "everyday"
EMOTIONS = ("amusement", "anger", "awe", "contentment", "disgust", "excitement", "fear", "sadness")

# Share of an emotion's pictures that show something everyday: a screen, a street, a thing on a table.
EVERYDAY_SHARE = 0.2
# Share of pictures whose scene, and whose look, is that of a random other emotion. Raise to make pictures harder.
SCENE_NOISE = 0.12
LOOK_NOISE = 0.25
# Camera: standard deviations of exposure, contrast and saturation, and of the grain in 0-255.
CAMERA_NOISE = 0.15
GRAIN = 6.0

SIZES_PX = ((320, 240), (256, 192), (300, 225), (320, 213), (240, 320))
SUPERSAMPLING = 2

LOOKS = {
    "amusement": Look((45, 330, 200, 110, 20), 0.60, 0.85, 1.05),
    "anger": Look((0, 10, 355, 20), 0.75, 0.65, 1.25),
    "awe": Look((215, 250, 30, 280), 0.55, 0.70, 1.10),
    "contentment": Look((95, 120, 50, 200), 0.40, 0.85, 0.90),
    "disgust": Look((65, 80, 95, 45), 0.55, 0.55, 1.05),
    "excitement": Look((300, 30, 190, 50, 265), 0.75, 0.85, 1.20),
    "fear": Look((230, 150, 260), 0.40, 0.40, 1.10),
    "sadness": Look((210, 225, 240, 200), 0.22, 0.60, 0.85),
    EVERYDAY: Look((30, 45, 210, 120, 0), 0.22, 0.70, 1.00),
}

Scene = Callable[[Canvas, Rng], None]
SCENES: dict[str, tuple[Scene, ...]] = {
    "amusement": (scenes.confetti, scenes.smile, scenes.smile, scenes.leap, scenes.crowd),
    "anger": (scenes_dark.flames, scenes.scowl, scenes_dark.protest, scenes_dark.shatter, scenes_dark.storm),
    "awe": (scenes.mountains, scenes.mountains, scenes.lake, scenes.fireworks, scenes_dark.storm),
    "contentment": (scenes.meadow, scenes.lake, scenes.flowers, scenes.flowers, scenes.smile),
    "disgust": (scenes_dark.rubbish, scenes_dark.mould, scenes_dark.mould, scenes_dark.slime, scenes.grimace),
    "excitement": (scenes.fireworks, scenes.crowd, scenes.leap, scenes.speed, scenes.confetti),
    "fear": (scenes_dark.dark_wood, scenes_dark.dark_wood, scenes_dark.storm, scenes_dark.flames, scenes_dark.graves),
    "sadness": (scenes_dark.rain, scenes_dark.alone, scenes_dark.graves, scenes.weeping, scenes.flowers),
    EVERYDAY: (scenes.screen, scenes.street, scenes.thing, scenes.plate, scenes.portrait),
}


def draw_picture(emotion: str, rng: np.random.Generator) -> Image.Image:
    """A picture that leans towards `emotion` (of `EMOTIONS`, or `EVERYDAY`): RGB, 192 to 320 pixels a side."""
    scene_of = EVERYDAY if rng.random() < EVERYDAY_SHARE else _stray(emotion, SCENE_NOISE, rng)
    look_of = _stray(emotion, LOOK_NOISE, rng)
    width_px, height_px = SIZES_PX[int(rng.integers(len(SIZES_PX)))]
    look = LOOKS[look_of]
    canvas = Canvas(width_px * SUPERSAMPLING, height_px * SUPERSAMPLING, look, rng)
    choices = SCENES[scene_of]
    choices[int(rng.integers(len(choices)))](canvas, rng)
    return _photograph(canvas.image, (width_px, height_px), look.contrast, rng)


def draw_jpeg(emotion: str, rng: np.random.Generator) -> bytes:
    """`draw_picture`, encoded as it would lie in a corpus."""
    return encode_jpeg(draw_picture(emotion, rng), quality=85)


def draw_collage(emotions: Sequence[str], rng: np.random.Generator) -> bytes:
    """One picture per emotion, side by side at the same height, as a JPEG; a single one is just that picture."""
    pictures = [draw_picture(emotion, rng) for emotion in emotions]
    height_px = min(picture.height for picture in pictures)
    pictures = [picture.resize((picture.width * height_px // picture.height, height_px)) for picture in pictures]
    sheet = Image.new("RGB", (sum(picture.width for picture in pictures), height_px))
    left_px = 0
    for picture in pictures:
        sheet.paste(picture, (left_px, 0))
        left_px += picture.width
    return encode_jpeg(sheet, quality=85)


def _stray(emotion: str, share: float, rng: np.random.Generator) -> str:
    draw, choice = rng.random(2)
    return EMOTIONS[int(choice * len(EMOTIONS))] if draw < share else emotion


def _photograph(image: Image.Image, size_px: tuple[int, int], contrast: float, rng: np.random.Generator) -> Image.Image:
    """Tilt and crop a little, scale down, vary exposure, contrast and saturation, add grain."""
    # The margin is wide enough to cut off the corners that a tilt leaves empty.
    image = image.rotate(rng.uniform(-3, 3), Image.Resampling.BICUBIC)
    left, top, right, bottom = rng.uniform(0.04, 0.14, 4)
    width, height = image.size
    box = (left * width, top * height, (1 - right) * width, (1 - bottom) * height)
    image = image.resize(size_px, Image.Resampling.LANCZOS, box=box)
    for kind, base in ((ImageEnhance.Brightness, 1.0), (ImageEnhance.Contrast, contrast), (ImageEnhance.Color, 1.0)):
        image = kind(image).enhance(float(np.clip(base + CAMERA_NOISE * rng.standard_normal(), 0.4, 1.8)))
    if rng.random() < 0.5:
        image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    grain = rng.normal(0, GRAIN * rng.uniform(0.3, 1.0), (size_px[1], size_px[0], 1))
    return Image.fromarray((np.asarray(image) + grain).clip(0, 255).astype(np.uint8))
