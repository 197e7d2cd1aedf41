"""Everyday scenes, which no emotion owns. Each draws on a canvas in the canvas's own look; see `scenes`."""

from __future__ import annotations

import numpy as np

from pipeline.sample.canvas import Canvas
from pipeline.sample.scenes import face


def screen(canvas: Canvas) -> None:
    """A screenshot: a bar, lines of text, a button."""
    rng = canvas.rng
    canvas.gradient(canvas.colour(1.3, 0.2), canvas.colour(1.3, 0.2))
    canvas.pen.rectangle((0, 0, *canvas.at(1, rng.uniform(0.08, 0.2))), fill=canvas.colour(0.8, 1.5))
    left = rng.uniform(0.05, 0.2)
    for y in np.arange(0.28, 0.85, rng.uniform(0.06, 0.1)):
        canvas.stroke([(left, y), (rng.uniform(0.5, 0.95), y)], canvas.colour(0.5, 0.3), 0.02)
    x = rng.uniform(0.1, 0.6)
    canvas.pen.rounded_rectangle((*canvas.at(x, 0.88), *canvas.at(x + 0.3, 0.97)), 8, fill=canvas.colour(0.8, 1.8))


def street(canvas: Canvas) -> None:
    """A row of houses."""
    rng = canvas.rng
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


def thing(canvas: Canvas) -> None:
    """Something for sale on a table."""
    rng = canvas.rng
    canvas.gradient(canvas.colour(1.2, 0.3), canvas.colour(1.0, 0.4))
    canvas.pen.rectangle((*canvas.at(0, 0.68), *canvas.at(1, 1)), fill=canvas.colour(0.7, 1.2, 30))
    x, wide, tall = rng.uniform(0.25, 0.45), rng.uniform(0.18, 0.35), rng.uniform(0.25, 0.5)
    body = canvas.colour(0.9, 2.0)
    canvas.pen.rounded_rectangle((*canvas.at(x, 0.78 - tall), *canvas.at(x + wide, 0.78)), 14, fill=body)
    canvas.pen.rectangle((*canvas.at(x, 0.7), *canvas.at(x + wide, 0.74)), fill=canvas.colour(0.5, 1.0))
    if rng.random() < 0.5:
        canvas.disc(x + wide, 0.78 - tall / 2, 0.09, body)
        canvas.disc(x + wide, 0.78 - tall / 2, 0.055, canvas.colour(1.1, 0.3))


def plate(canvas: Canvas) -> None:
    """Lunch from above."""
    rng = canvas.rng
    canvas.gradient(canvas.colour(0.8, 1.0, 30), canvas.colour(0.7, 1.0, 28))
    canvas.disc(0.5, 0.5, 0.4, (236, 234, 228))
    canvas.disc(0.5, 0.5, 0.32, (224, 221, 214))
    for _ in range(int(rng.integers(4, 12))):
        x, y = rng.normal(0.5, 0.07), rng.normal(0.5, 0.09)
        hue = float(rng.choice([10, 35, 50, 100]))
        canvas.disc(x, y, rng.uniform(0.04, 0.11), canvas.colour(1.0, 2.6, hue), squash=rng.uniform(0.5, 1))
    canvas.stroke([(0.1, 0.2), (0.1, 0.8)], (190, 190, 195), 0.02)


def portrait(canvas: Canvas) -> None:
    """A face that gives nothing away."""
    face(canvas, mouth=0.05, brows=0.0, eyes=1.0)
