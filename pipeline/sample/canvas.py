"""What scenes are drawn with: colours of a mood, skies, textures, light, figures and faces.

Colours are RGB tuples of 0-255; positions and sizes are fractions of the picture unless they end in `_px`.
"""

import colorsys
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageChops, ImageDraw, ImageFilter

Colour = tuple[int, int, int]
Point = tuple[float, float]
Rng = np.random.Generator


@dataclass(frozen=True)
class Look:
    """The colours of a class: hues in degrees, saturation and value in 0-1, contrast as a factor."""

    hues: tuple[int, ...]
    saturation: float
    value: float
    contrast: float


class Canvas:
    """A picture under construction, with the random generator and the look that scenes draw from."""

    def __init__(self, width_px: int, height_px: int, look: Look, rng: Rng) -> None:
        self.image = Image.new("RGB", (width_px, height_px))
        self.look = look
        self.rng = rng

    @property
    def size(self) -> tuple[int, int]:
        """Width and height in pixels."""
        return self.image.size

    @property
    def pen(self) -> ImageDraw.ImageDraw:
        """A pen for the picture as it is now."""
        return ImageDraw.Draw(self.image)

    def at(self, x: float, y: float) -> Point:
        """A point given in fractions, in pixels."""
        return x * self.image.width, y * self.image.height

    def length(self, fraction: float) -> float:
        """A length given as a fraction of the height, in pixels."""
        return fraction * self.image.height

    def colour(self, light: float = 1.0, rich: float = 1.0, hue: float | None = None) -> Colour:
        """A colour of this look, `light` times as light and `rich` times as saturated as usual."""
        rng = self.rng
        base = float(rng.choice(self.look.hues)) if hue is None else hue
        hue = ((base + rng.normal(0, 9)) % 360) / 360
        saturation = np.clip(self.look.saturation * rich + rng.normal(0, 0.06), 0, 1)
        value = np.clip(self.look.value * light + rng.normal(0, 0.04), 0.02, 1)
        red, green, blue = colorsys.hsv_to_rgb(hue, float(saturation), float(value))
        return round(red * 255), round(green * 255), round(blue * 255)

    def gradient(self, top: Colour, bottom: Colour, until: float = 1.0) -> None:
        """Fill the upper part of the picture from one colour to the other."""
        width, height = self.size
        rows = max(1, round(height * until))
        ramp = np.linspace(0, 1, rows)[:, None, None]
        strip = np.array(top) * (1 - ramp) + np.array(bottom) * ramp
        strip = np.broadcast_to(strip, (rows, width, 3)).astype(np.uint8)
        self.image.paste(Image.fromarray(strip), (0, 0))

    def noise(self, cells: int, octaves: int = 4) -> NDArray[np.float32]:
        """Cloudy texture in 0-1, shape [height, width], `cells` across at the coarsest."""
        width, height = self.size
        total = np.zeros((height, width), np.float32)
        weight = 0.0
        for octave in range(octaves):
            count = min(cells * 2**octave, width)
            grid = self.rng.random((max(2, count * height // width), max(2, count)), dtype=np.float32)
            layer = Image.fromarray(grid).resize((width, height), Image.Resampling.BICUBIC)
            total += np.asarray(layer) / 2**octave
            weight += 1 / 2**octave
        return np.asarray(np.clip(total / weight, 0, 1), dtype=np.float32)

    def stain(self, colour: Colour, mask: NDArray[np.floating]) -> None:
        """Cover the picture with `colour` where `mask` (0-1, shape [height, width]) says so."""
        alpha = Image.fromarray((np.clip(mask, 0, 1) * 255).astype(np.uint8))
        self.image.paste(Image.new("RGB", self.size, colour), (0, 0), alpha)

    def glow(self, x: float, y: float, radius: float, colour: Colour, strength: float = 1.0) -> None:
        """Add light around a point."""
        width, height = self.size
        xs = (np.arange(width) - x * width) / (radius * height)
        ys = (np.arange(height) - y * height) / (radius * height)
        falloff = np.exp(-(xs[None, :] ** 2 + ys[:, None] ** 2))
        light = (falloff[:, :, None] * np.array(colour) * strength).clip(0, 255).astype(np.uint8)
        self.image = ImageChops.add(self.image, Image.fromarray(light))

    def ridge(self, level: float, height: float, colour: Colour, jagged: float = 0.0) -> None:
        """Hills, or mountains if `jagged`, from a height of the picture down to its lower edge."""
        width, picture_height = self.size
        xs = np.linspace(0, 1, 80)
        rng = self.rng
        line = sum(
            np.sin(xs * 2 * np.pi * f + rng.uniform(0, 7)) / f for f in rng.uniform(0.5, 1.6, 2) * np.array([1, 2.3])
        )
        line = np.asarray(line) * (1 - jagged) + jagged * np.cumsum(rng.normal(0, 0.3, 80))
        line = (line - line.mean()) / (np.abs(line - line.mean()).max() + 1e-6)
        ys = (level - height * line) * picture_height
        points = [*zip(xs * width, ys, strict=True), (width, picture_height), (0, picture_height)]
        self.pen.polygon([(float(x), float(y)) for x, y in points], fill=colour)

    def disc(self, x: float, y: float, radius: float, fill: Colour, *, squash: float = 1.0) -> None:
        """A filled ellipse; `radius` in fractions of the height, `squash` below 1 makes it flat."""
        cx, cy = self.at(x, y)
        r = self.length(radius)
        self.pen.ellipse((cx - r, cy - r * squash, cx + r, cy + r * squash), fill=fill)

    def stroke(self, points: list[Point], colour: Colour, width: float) -> None:
        """A line through points in fractions; `width` is a fraction of the height."""
        pixels = [self.at(x, y) for x, y in points]
        self.pen.line(pixels, fill=colour, width=max(1, round(self.length(width))), joint="curve")

    def figure(self, x: float, y: float, tall: float, colour: Colour, arms: float) -> None:
        """A person seen from afar, feet at (x, y); `arms` from -1 (hanging, head bowed) to 1 (thrown up)."""
        ratio = self.image.height / self.image.width
        head = tall * 0.09
        lean = 0.05 * tall * ratio * (arms < -0.5)
        hip, neck = y - tall * 0.45, y - tall * 0.80
        limb = tall * 0.075
        spread = tall * 0.11 * ratio
        self.stroke([(x - spread, y), (x, hip), (x + spread, y)], colour, limb)
        self.stroke([(x, hip), (x + lean, neck)], colour, tall * 0.16)
        reach = tall * 0.26 * ratio
        rise = neck - arms * tall * 0.28
        for side in (-1, 1):
            elbow = (x + lean + side * reach * (0.5 if arms < 0 else 0.75), neck + (rise - neck) * 0.35 + tall * 0.06)
            self.stroke([(x + lean, neck + tall * 0.03), elbow, (x + side * reach * 0.8, rise)], colour, limb * 0.8)
        self.disc(x + lean * 2, neck - head * (1.25 if arms > -0.5 else 0.8), head, colour)

    def soften(self, radius_px: float) -> None:
        """Blur the picture as it is now."""
        if radius_px > 0.2:
            self.image = self.image.filter(ImageFilter.GaussianBlur(radius_px))
