"""Scenes of anger, disgust, fear and sadness. Each draws on a canvas in the canvas's own look; see `scenes`."""

import numpy as np

from pipeline.sample.canvas import Canvas, Rng


def flames(canvas: Canvas, rng: Rng) -> None:
    """Something burns."""
    canvas.gradient(canvas.colour(0.15, 0.9), canvas.colour(0.4, 1.0))
    canvas.glow(0.5, 1.0, 0.7, canvas.colour(1.0, 1.2, 15), 0.8)
    for light, hue, scale in ((0.9, 5, 1.0), (1.2, 22, 0.72), (1.4, 45, 0.42)):
        for x in rng.uniform(-0.05, 1.05, 16):
            tall, wide = rng.uniform(0.3, 0.75) * scale, rng.uniform(0.05, 0.11)
            bend = rng.normal(0, 0.05)
            steps = np.linspace(0, 1, 9)
            left = [(x - wide * (1 - t) + bend * np.sin(5 * t), 1.05 - tall * t) for t in steps]
            right = [(x + wide * (1 - t) + bend * np.sin(5 * t), 1.05 - tall * t) for t in steps[::-1]]
            canvas.pen.polygon([canvas.at(*point) for point in left + right], fill=canvas.colour(light, 1.4, hue))
    canvas.soften(1.5)
    canvas.stain(canvas.colour(0.15, 0.2), (canvas.noise(5) - 0.5) * 2 * np.linspace(1, 0, canvas.size[1])[:, None])


def protest(canvas: Canvas, rng: Rng) -> None:
    """People with signs and fists in front of smoke."""
    canvas.gradient(canvas.colour(0.7, 0.8), canvas.colour(1.0, 0.7))
    canvas.stain(canvas.colour(0.3, 0.3), (canvas.noise(3) - 0.4) * 2)
    for x in np.linspace(0.02, 0.98, 9) + rng.normal(0, 0.02, 9):
        canvas.figure(float(x), 1.08, rng.uniform(0.5, 0.7), canvas.colour(0.25, 0.8), rng.uniform(0.2, 1.0))
    for x in rng.uniform(0.1, 0.85, 4):
        y = rng.uniform(0.1, 0.3)
        canvas.stroke([(x + 0.06, y), (x + 0.06, 0.6)], (90, 70, 50), 0.015)
        canvas.pen.rectangle((*canvas.at(x, y), *canvas.at(x + 0.14, y + 0.14)), fill=(235, 230, 220))
        for line in (0.04, 0.09):
            canvas.stroke([(x + 0.02, y + line), (x + 0.12, y + line)], canvas.colour(0.7, 1.5), 0.02)


def shatter(canvas: Canvas, rng: Rng) -> None:
    """A blow: cracks that run out from one point."""
    canvas.gradient(canvas.colour(0.6, 1.1), canvas.colour(0.85, 1.1))
    canvas.stain(canvas.colour(0.3, 1.0), (canvas.noise(6) - 0.5) * 2)
    cx, cy = rng.uniform(0.3, 0.7), rng.uniform(0.3, 0.7)
    for angle in np.linspace(0, 2 * np.pi, int(rng.integers(11, 19))) + rng.normal(0, 0.1):
        reach = np.cumsum(rng.uniform(0.04, 0.16, 7))
        bend = angle + np.cumsum(rng.normal(0, 0.16, 7))
        points = [(cx, cy), *zip(cx + reach * np.cos(bend), cy + reach * np.sin(bend), strict=True)]
        canvas.stroke([(float(a), float(b)) for a, b in points], canvas.colour(0.12, 0.6), 0.014)
    canvas.disc(cx, cy, 0.05, canvas.colour(0.1, 0.5))


def rubbish(canvas: Canvas, rng: Rng) -> None:
    """A heap of litter with flies above it."""
    canvas.gradient(canvas.colour(0.8, 0.6), canvas.colour(0.5, 0.9))
    for _ in range(130):
        x, y = rng.random(), rng.uniform(0.4, 1.05) ** 0.8
        turn, long, wide = rng.uniform(0, np.pi), rng.uniform(0.03, 0.11), rng.uniform(0.02, 0.06)
        along = np.array([np.cos(turn) * 0.75, np.sin(turn)]) * long
        across = np.array([-np.sin(turn) * 0.75, np.cos(turn)]) * wide
        corners = [np.array([x, y]) + a * along + b * across for a, b in ((-1, -1), (1, -1), (1, 1), (-1, 1))]
        canvas.pen.polygon([canvas.at(*map(float, p)) for p in corners], fill=canvas.colour(rng.uniform(0.5, 1.4), 0.9))
    _flies(canvas, rng)


def mould(canvas: Canvas, rng: Rng) -> None:
    """Spots of rot on food or on a wall."""
    canvas.gradient(canvas.colour(1.1, 0.4), canvas.colour(0.9, 0.6))
    if rng.random() < 0.6:
        canvas.disc(0.5, 0.55, 0.42, (225, 222, 212), squash=0.9)
        canvas.disc(0.5, 0.55, 0.3, canvas.colour(1.0, 0.9), squash=0.85)
    patches = canvas.noise(7)
    canvas.stain(canvas.colour(0.6, 1.1), (patches - 0.52) * 6)
    canvas.stain(canvas.colour(0.25, 0.7), (patches * canvas.noise(22, 2) - 0.36) * 9)
    for _ in range(90):
        canvas.disc(rng.normal(0.5, 0.22), rng.normal(0.55, 0.2), rng.uniform(0.004, 0.02), canvas.colour(0.4, 0.9))
    _flies(canvas, rng)


def slime(canvas: Canvas, rng: Rng) -> None:
    """Something wet runs down a wall."""
    canvas.gradient(canvas.colour(0.75, 0.3), canvas.colour(0.55, 0.4))
    canvas.stain(canvas.colour(0.4, 0.5), (canvas.noise(9) - 0.5) * 2)
    tone = canvas.colour(0.9, 1.5)
    canvas.pen.rectangle((0, 0, *canvas.at(1, 0.14)), fill=tone)
    for x in rng.uniform(0, 1, 22):
        end, wide = rng.uniform(0.2, 0.9), rng.uniform(0.015, 0.05)
        canvas.stroke([(x, 0.1), (x, end)], tone, wide * 1.4)
        canvas.disc(x, end, wide, tone, squash=1.3)
        canvas.disc(x - wide * 0.2, end - wide * 0.3, wide * 0.25, (230, 240, 210))
    canvas.soften(0.7)


def rain(canvas: Canvas, rng: Rng) -> None:
    """Rain on a window; the world behind it is a blur."""
    canvas.gradient(canvas.colour(0.8, 0.8), canvas.colour(0.5, 0.9))
    for _ in range(14):
        canvas.disc(rng.random(), rng.uniform(0.3, 1), rng.uniform(0.04, 0.14), canvas.colour(rng.uniform(0.4, 1.2)))
    canvas.soften(9)
    for x in rng.uniform(0, 1, 45):
        y, run = rng.uniform(-0.1, 0.9), rng.uniform(0.05, 0.35)
        canvas.stroke([(x, y), (x + rng.normal(0, 0.008), y + run)], canvas.colour(1.2, 0.4), 0.006)
        canvas.disc(x, y + run, rng.uniform(0.006, 0.015), canvas.colour(1.3, 0.3), squash=1.4)


def alone(canvas: Canvas, rng: Rng) -> None:
    """One small person under a large grey sky, by a bare tree."""
    canvas.gradient(canvas.colour(0.75, 0.5), canvas.colour(1.0, 0.3))
    canvas.stain(canvas.colour(1.1, 0.2), (canvas.noise(3) - 0.5) * 2)
    canvas.ridge(0.8, 0.03, canvas.colour(0.45, 0.6))
    x = rng.uniform(0.15, 0.85)
    if rng.random() < 0.6:
        _bare_tree(canvas, rng, (x + 0.45) % 1, 0.83)
    canvas.figure(x, 0.86, rng.uniform(0.2, 0.32), canvas.colour(0.2, 0.5), rng.uniform(-1, -0.7))


def graves(canvas: Canvas, rng: Rng) -> None:
    """Headstones in the mist."""
    canvas.gradient(canvas.colour(0.9, 0.3), canvas.colour(0.6, 0.5))
    _bare_tree(canvas, rng, rng.uniform(0.1, 0.9), 0.7)
    canvas.ridge(0.68, 0.03, canvas.colour(0.5, 0.8))
    for depth in np.sort(rng.uniform(0.68, 0.92, 8)):
        x, wide = rng.uniform(0.02, 0.9), 0.04 + 0.12 * (depth - 0.6)
        box = (*canvas.at(x, depth - wide * 1.9), *canvas.at(x + wide, depth))
        canvas.pen.rounded_rectangle(box, canvas.length(wide * 0.5), fill=canvas.colour(rng.uniform(0.6, 0.9), 0.2))
    canvas.stain(canvas.colour(1.2, 0.1), (canvas.noise(3) - 0.5) * 1.6)


def dark_wood(canvas: Canvas, rng: Rng) -> None:
    """Trunks in the night; sometimes eyes between them."""
    canvas.gradient(canvas.colour(0.3, 0.8), canvas.colour(0.55, 0.6))
    canvas.glow(rng.random(), 0.5, 0.4, canvas.colour(0.6, 0.5), 0.7)
    for x in rng.uniform(-0.05, 1.05, 16):
        wide = rng.uniform(0.02, 0.07)
        canvas.stroke([(x, -0.1), (x + rng.normal(0, 0.04), 1.1)], canvas.colour(rng.uniform(0.08, 0.25)), wide)
    for _ in range(int(rng.integers(0, 4))):
        x, y = rng.random(), rng.uniform(0.35, 0.75)
        for dx in (-0.02, 0.02):
            canvas.disc(x + dx, y, 0.014, (240, 220, 120), squash=0.6)


def storm(canvas: Canvas, rng: Rng) -> None:
    """Lightning out of black clouds."""
    canvas.gradient(canvas.colour(0.3, 0.8), canvas.colour(0.6, 0.8))
    canvas.stain(canvas.colour(0.15, 0.6), (canvas.noise(4) - 0.4) * 2)
    for _ in range(int(rng.integers(1, 4))):
        ys = np.linspace(0.05, 0.85, 12)
        xs = rng.uniform(0.2, 0.8) + np.cumsum(rng.normal(0, 0.035, 12))
        canvas.glow(float(xs[5]), 0.4, 0.3, canvas.colour(1.0, 0.6), 0.5)
        canvas.stroke([(float(a), float(b)) for a, b in zip(xs, ys, strict=True)], (250, 245, 255), 0.012)
    canvas.ridge(0.88, 0.03, canvas.colour(0.1))


def _bare_tree(canvas: Canvas, rng: Rng, x: float, y: float) -> None:
    """A leafless tree with its foot at (x, y)."""
    bark = canvas.colour(0.2, 0.5)
    branches = [(x, y, -np.pi / 2, rng.uniform(0.16, 0.24), 0.03)]
    while branches:
        bx, by, angle, long, wide = branches.pop()
        ex, ey = bx + long * 0.75 * np.cos(angle), by + long * np.sin(angle)
        canvas.stroke([(bx, by), (ex, ey)], bark, wide)
        if wide > 0.005:
            branches += [(ex, ey, angle + turn, long * 0.7, wide * 0.6) for turn in rng.normal([-0.5, 0.5], 0.2)]


def _flies(canvas: Canvas, rng: Rng) -> None:
    for _ in range(int(rng.integers(4, 14))):
        x, y = rng.random(), rng.uniform(0.05, 0.8)
        for side in (-1, 1):
            canvas.disc(x + side * 0.01, y - 0.008, 0.011, (170, 170, 170), squash=0.6)
        canvas.disc(x, y, 0.011, (20, 20, 20))
