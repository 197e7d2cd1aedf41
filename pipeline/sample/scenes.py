"""Scenes that make a picture pleasant, thrilling or nothing in particular. Each draws on a canvas in its own look.

The darker ones are in `scenes_dark`; both are chosen from by `pictures`.
"""

from functools import partial

import numpy as np
from PIL import Image

from pipeline.sample.canvas import Canvas, Rng

SKIN = (28, 25, 22, 30)  # hues


def meadow(canvas: Canvas, rng: Rng) -> None:
    """Rolling hills under a wide sky, with sun and flowers where the look is bright."""
    canvas.gradient(canvas.colour(0.95, 0.7), canvas.colour(1.15, 0.3), 0.75)
    _clouds(canvas, 0.5)
    if rng.random() < 0.6:
        canvas.glow(rng.uniform(0.1, 0.9), rng.uniform(0.1, 0.35), 0.22, canvas.colour(1.2, 0.5, 48), 0.9)
    for step, level in enumerate(np.sort(rng.uniform(0.5, 0.85, 3))):
        canvas.ridge(float(level), 0.07, canvas.colour(0.75 - 0.12 * step, 1.0))
    for _ in range(int(rng.integers(0, 60))):
        x, y = rng.uniform(0, 1), rng.uniform(0.78, 1)
        canvas.disc(x, y, 0.008 + 0.012 * (y - 0.7), canvas.colour(1.2, 1.2))


def mountains(canvas: Canvas, rng: Rng) -> None:
    """Peaks behind each other, often with stars or a low sun: large, far and silent."""
    night = rng.random() < 0.4
    canvas.gradient(canvas.colour(0.35 if night else 0.7, 1.1), canvas.colour(0.8 if night else 1.2, 0.7))
    if night:
        for _ in range(220):
            canvas.disc(rng.random(), rng.random() * 0.7, rng.uniform(0.001, 0.005), (235, 235, 250))
    canvas.glow(rng.uniform(0.2, 0.8), rng.uniform(0.45, 0.6), 0.3, canvas.colour(1.1, 0.9), 0.7)
    for step in range(4):
        canvas.ridge(0.5 + 0.11 * step, 0.16 - 0.02 * step, canvas.colour(0.7 - 0.16 * step, 0.8), jagged=0.85)


def lake(canvas: Canvas, rng: Rng) -> None:
    """Still water that mirrors the sky."""
    canvas.gradient(canvas.colour(1.0, 0.6), canvas.colour(1.2, 0.4), 0.55)
    _clouds(canvas, 0.4)
    canvas.ridge(0.52, 0.06, canvas.colour(0.6, 0.9))
    width, height = canvas.size
    middle = height * 11 // 20
    upper = canvas.image.crop((0, 0, width, middle))
    canvas.image.paste(upper.transpose(Image.Transpose.FLIP_TOP_BOTTOM).resize((width, height - middle)), (0, middle))
    for _ in range(40):
        y, x = rng.uniform(0.57, 1), rng.random()
        canvas.stroke([(x, y), (x + rng.uniform(0.03, 0.12), y)], canvas.colour(1.1, 0.4), 0.003)


def flowers(canvas: Canvas, rng: Rng) -> None:
    """A bed of blossoms, near enough to touch; they hang their heads where the look is dull."""
    canvas.gradient(canvas.colour(0.7, 0.8, 110), canvas.colour(0.45, 0.9, 120))
    canvas.soften(3)
    for _ in range(int(rng.integers(9, 22))):
        x, y, r = rng.random(), rng.uniform(0.15, 0.95), rng.uniform(0.05, 0.11)
        canvas.stroke([(x, y), (x + rng.normal(0, 0.02), 1.05)], canvas.colour(0.55, 1.0, 115), 0.014)
        petal = canvas.colour(1.15, 1.1)
        count = int(rng.integers(5, 9))
        for angle in np.arange(count) * 2 * np.pi / count + rng.random():
            canvas.disc(x + 0.7 * r * np.cos(angle) * 0.75, y + 0.7 * r * np.sin(angle), r * 0.45, petal)
        canvas.disc(x, y, r * 0.35, canvas.colour(1.0, 1.2, 45))


def confetti(canvas: Canvas, rng: Rng) -> None:
    """Coloured paper and balloons in the air."""
    canvas.gradient(canvas.colour(1.0, 0.5), canvas.colour(1.2, 0.3))
    for _ in range(int(rng.integers(0, 9))):
        x, y, r = rng.random(), rng.uniform(0.1, 0.7), rng.uniform(0.08, 0.15)
        canvas.stroke([(x, y + r), (x + rng.normal(0, 0.02), y + r + 0.35)], (120, 120, 120), 0.004)
        canvas.disc(x, y, r, canvas.colour(1.1, 1.3), squash=1.2)
        canvas.disc(x - r * 0.25, y - r * 0.4, r * 0.2, (255, 255, 255))
    for _ in range(int(rng.integers(120, 320))):
        x, y, s = rng.random(), rng.random(), rng.uniform(0.008, 0.02)
        turn = rng.uniform(0, np.pi)
        dx, dy = s * np.cos(turn), s * np.sin(turn)
        canvas.stroke([(x - dx, y - dy), (x + dx, y + dy)], canvas.colour(1.15, 1.4), rng.uniform(0.008, 0.018))


def crowd(canvas: Canvas, rng: Rng) -> None:
    """A concert or a stand: lights above, raised arms below."""
    canvas.gradient(canvas.colour(0.35, 1.1), canvas.colour(0.9, 1.1))
    for _ in range(int(rng.integers(3, 7))):
        x, top = rng.random(), rng.random()
        beam = [canvas.at(top, -0.05), canvas.at(x - 0.12, 0.8), canvas.at(x + 0.12, 0.8)]
        under = canvas.image.copy()
        canvas.pen.polygon(beam, fill=canvas.colour(1.3, 0.9))
        canvas.image = Image.blend(under, canvas.image, 0.45)
    canvas.glow(0.5, 0.6, 0.35, canvas.colour(1.2, 0.8), 0.8)
    arms = 0.9 if canvas.look.value > 0.6 else 0.5
    for row in range(3):
        for x in np.linspace(-0.02, 1.02, 13) + rng.normal(0, 0.02, 13):
            lift = arms + rng.normal(0, 0.35)
            canvas.figure(float(x), 1.05 + 0.06 * row, rng.uniform(0.36, 0.5), canvas.colour(0.25 - 0.07 * row), lift)


def fireworks(canvas: Canvas, rng: Rng) -> None:
    """Bursts over a dark town."""
    canvas.gradient(canvas.colour(0.12, 1.0), canvas.colour(0.3, 1.0))
    for _ in range(int(rng.integers(3, 8))):
        x, y, reach = rng.uniform(0.1, 0.9), rng.uniform(0.1, 0.55), rng.uniform(0.12, 0.28)
        light = canvas.colour(1.4, 1.2)
        canvas.glow(x, y, reach, light, 0.5)
        for angle in np.linspace(0, 2 * np.pi, int(rng.integers(18, 36))):
            far = reach * rng.uniform(0.75, 1.0)
            tip = (x + far * 0.75 * np.cos(angle), y + far * np.sin(angle) + 0.04 * far)
            near = (x + 0.25 * far * 0.75 * np.cos(angle), y + 0.25 * far * np.sin(angle))
            canvas.stroke([near, tip], light, 0.006)
            canvas.disc(*tip, 0.007, (255, 250, 235))
    for x in np.arange(0, 1, 0.06):
        top = rng.uniform(0.8, 0.95)
        canvas.pen.rectangle((*canvas.at(x, top), *canvas.at(x + 0.055, 1)), fill=canvas.colour(0.08))


def leap(canvas: Canvas, rng: Rng) -> None:
    """Somebody jumps for joy against an open sky."""
    canvas.gradient(canvas.colour(1.0, 0.9), canvas.colour(1.3, 0.5))
    canvas.glow(rng.uniform(0.2, 0.8), rng.uniform(0.4, 0.7), 0.3, canvas.colour(1.3, 0.7, 45), 0.8)
    canvas.ridge(0.92, 0.03, canvas.colour(0.4))
    for x in rng.uniform(0.15, 0.85, int(rng.integers(1, 4))):
        canvas.figure(float(x), rng.uniform(0.72, 0.86), rng.uniform(0.4, 0.6), canvas.colour(0.2), rng.uniform(0.7, 1))


def speed(canvas: Canvas, rng: Rng) -> None:
    """Streaks that run to a point: a race, a ride, a fall."""
    canvas.gradient(canvas.colour(0.6, 1.0), canvas.colour(0.9, 1.0))
    cx, cy = rng.uniform(0.3, 0.7), rng.uniform(0.3, 0.6)
    for angle in rng.uniform(0, 2 * np.pi, 170):
        near, far = rng.uniform(0.05, 0.5), rng.uniform(0.6, 1.2)
        ends = [(cx + d * np.cos(angle), cy + d * np.sin(angle)) for d in (near, far)]
        canvas.stroke(ends, canvas.colour(rng.uniform(0.5, 1.5), 1.2), rng.uniform(0.004, 0.02))
    canvas.glow(cx, cy, 0.15, (255, 250, 230), 0.9)


def screen(canvas: Canvas, rng: Rng) -> None:
    """A screenshot: a bar, lines of text, a button."""
    canvas.gradient(canvas.colour(1.3, 0.2), canvas.colour(1.3, 0.2))
    canvas.pen.rectangle((0, 0, *canvas.at(1, rng.uniform(0.08, 0.2))), fill=canvas.colour(0.8, 1.5))
    left = rng.uniform(0.05, 0.2)
    for y in np.arange(0.28, 0.85, rng.uniform(0.06, 0.1)):
        canvas.stroke([(left, y), (rng.uniform(0.5, 0.95), y)], canvas.colour(0.5, 0.3), 0.02)
    x = rng.uniform(0.1, 0.6)
    canvas.pen.rounded_rectangle((*canvas.at(x, 0.88), *canvas.at(x + 0.3, 0.97)), 8, fill=canvas.colour(0.8, 1.8))


def street(canvas: Canvas, rng: Rng) -> None:
    """A row of houses."""
    canvas.gradient(canvas.colour(1.2, 0.5, 210), canvas.colour(1.3, 0.2, 210))
    canvas.pen.rectangle((*canvas.at(0, 0.8), *canvas.at(1, 1)), fill=canvas.colour(0.6, 0.3))
    x = -0.05
    while x < 1:
        wide, top = rng.uniform(0.14, 0.28), rng.uniform(0.2, 0.5)
        canvas.pen.rectangle((*canvas.at(x, top), *canvas.at(x + wide, 0.8)), fill=canvas.colour(rng.uniform(0.6, 1.2)))
        for row in np.arange(top + 0.06, 0.7, 0.14):
            for column in np.arange(x + 0.03, x + wide - 0.04, 0.07):
                corners = (*canvas.at(column, row), *canvas.at(column + 0.035, row + 0.08))
                canvas.pen.rectangle(corners, fill=canvas.colour(rng.choice([0.4, 1.3]), 0.6))
        x += wide


def thing(canvas: Canvas, rng: Rng) -> None:
    """Something for sale on a table."""
    canvas.gradient(canvas.colour(1.2, 0.3), canvas.colour(1.0, 0.4))
    canvas.pen.rectangle((*canvas.at(0, 0.68), *canvas.at(1, 1)), fill=canvas.colour(0.7, 1.2, 30))
    x, wide, tall = rng.uniform(0.25, 0.45), rng.uniform(0.18, 0.35), rng.uniform(0.25, 0.5)
    body = canvas.colour(0.9, 2.0)
    canvas.pen.rounded_rectangle((*canvas.at(x, 0.78 - tall), *canvas.at(x + wide, 0.78)), 14, fill=body)
    canvas.pen.rectangle((*canvas.at(x, 0.7), *canvas.at(x + wide, 0.74)), fill=canvas.colour(0.5, 1.0))
    if rng.random() < 0.5:
        canvas.disc(x + wide, 0.78 - tall / 2, 0.09, body)
        canvas.disc(x + wide, 0.78 - tall / 2, 0.055, canvas.colour(1.1, 0.3))


def plate(canvas: Canvas, rng: Rng) -> None:
    """Lunch from above."""
    canvas.gradient(canvas.colour(0.8, 1.0, 30), canvas.colour(0.7, 1.0, 28))
    canvas.disc(0.5, 0.5, 0.4, (236, 234, 228))
    canvas.disc(0.5, 0.5, 0.32, (224, 221, 214))
    for _ in range(int(rng.integers(4, 12))):
        x, y = rng.normal(0.5, 0.07), rng.normal(0.5, 0.09)
        hue = float(rng.choice([10, 35, 50, 100]))
        canvas.disc(x, y, rng.uniform(0.04, 0.11), canvas.colour(1.0, 2.6, hue), squash=rng.uniform(0.5, 1))
    canvas.stroke([(0.1, 0.2), (0.1, 0.8)], (190, 190, 195), 0.02)


def face(
    canvas: Canvas, rng: Rng, *, mouth: float, brows: float, eyes: float, tears: bool = False, tongue: bool = False
) -> None:
    """A face on a plain ground.

    The corners of the mouth go from -1 (down) to 1 (up), the inner ends of the brows from -1 (raised: sorrow) to 1
    (lowered: anger); `eyes` is how far they are open, 1 is normal.
    """
    canvas.gradient(canvas.colour(0.9, 0.9), canvas.colour(0.7, 1.0))
    x, y, r = rng.uniform(0.38, 0.62), rng.uniform(0.45, 0.55), rng.uniform(0.3, 0.4)
    skin = canvas.colour(1.1, 0.7, float(rng.choice(SKIN)))
    hair = canvas.colour(0.3, 0.8, 25)
    canvas.disc(x, y - 0.12 * r, r * 1.06, hair)
    canvas.disc(x, y + 0.06 * r, r * 0.96, skin, squash=1.05)
    w = r * canvas.size[1] / canvas.size[0]
    mouth, brows = mouth + rng.normal(0, 0.2), brows + rng.normal(0, 0.2)
    for side in (-1, 1):
        ex, ey = x + side * 0.38 * w, y - 0.12 * r
        canvas.disc(ex, ey, 0.15 * r, (245, 245, 240), squash=min(1.2, eyes * 0.8))
        canvas.disc(ex, ey, 0.08 * r, (40, 30, 25))
        inner = (ex - side * 0.2 * w, ey - (0.28 - 0.16 * brows) * r)
        outer = (ex + side * 0.2 * w, ey - (0.28 + 0.12 * brows) * r)
        canvas.stroke([inner, outer], hair, 0.06 * r)
        if tears:
            canvas.disc(ex + side * 0.05 * w, ey + rng.uniform(0.25, 0.5) * r, 0.06 * r, (150, 200, 240), squash=1.8)
    bend = [(x + t * 0.42 * w, y + 0.45 * r - mouth * 0.28 * r * (t * t - 0.5)) for t in np.linspace(-1, 1, 15)]
    if mouth > 0.6:
        canvas.pen.polygon([canvas.at(*point) for point in bend], fill=(120, 30, 35))
    canvas.stroke([(float(a), float(b)) for a, b in bend], (130, 40, 40), 0.05 * r)
    if tongue:
        canvas.disc(x, y + 0.6 * r, 0.14 * r, (205, 90, 100), squash=1.3)


smile = partial(face, mouth=1.0, brows=-0.1, eyes=1.0)
scowl = partial(face, mouth=-0.8, brows=1.0, eyes=0.7)
weeping = partial(face, mouth=-0.7, brows=-0.9, eyes=0.7, tears=True)
grimace = partial(face, mouth=-0.6, brows=0.5, eyes=0.4, tongue=True)  # it tastes something foul
portrait = partial(face, mouth=0.05, brows=0.0, eyes=1.0)  # gives nothing away


def _clouds(canvas: Canvas, amount: float) -> None:
    fade = np.linspace(1, 0, canvas.size[1])[:, None]
    canvas.stain(canvas.colour(1.25, 0.15), (canvas.noise(4) - 1 + amount) * 3 * fade)
