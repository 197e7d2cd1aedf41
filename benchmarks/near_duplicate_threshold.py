"""How far apart are copies of a picture, and how near are different pictures, in bits of the 256-bit perceptual hash?

    python -m benchmarks.near_duplicate_threshold FOLDER [--pictures N]

In   any folder of images, at any depth (FI's folder per class, an unpacked B-T4SA)
Out  printed: percentiles of the Hamming distance per kind of copy; the nearest pairs of different pictures; for each
     threshold the share of copies found, the share of different pairs merged, and how many false pairs that makes in a
     whole corpus; two recommended thresholds

Two thresholds, because the errors cost different things. *Removal* drops pictures: it is meant for the same picture
once more (re-encoded, resized, brightened, a border of 1 % lost). *Grouping* only keeps two rows on one side of a
split: it should also find crops of 2 %, and may tie a few different pictures together.

False pairs grow with the square of the corpus, and a few hundred pictures show none at the thresholds in question.
Their rate is therefore extrapolated: the lower tail of the distances between different pictures falls exponentially,
and log10(rate) is fitted by a line from the nearest pair to the first percentile.
"""

from __future__ import annotations

import argparse
import io
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image, ImageEnhance
from tqdm import tqdm

from pipeline.errors import RowError
from pipeline.media.images import decode_image, encode_jpeg, perceptual_hash

SUFFIXES = {".jpg", ".jpeg", ".png", ".webp", ".gif", ".bmp", ".tif", ".tiff"}
MIN_SIDE_PX = 64
MAX_PIXELS = 50_000_000
COPIES_FOUND = 0.99  # share of the copies a threshold is meant for that it must find
FALSE_PAIRS_PER_PICTURE = 0.001  # and the most false pairs it may make, in the corpus it is meant for

Distances = npt.NDArray[np.int64]


def copies(image: Image.Image) -> Iterator[tuple[str, Image.Image]]:
    """Kinds of copy that circulate, by name."""
    width, height = image.size
    for quality in (95, 80, 60, 30):
        yield f"re-encoded q{quality}", reencoded(image, quality)
    for factor in (0.25, 0.5, 0.75, 1.5, 2.0):
        yield f"resized x{factor:g}", image.resize((round(width * factor), round(height * factor)))
    for factor in (0.7, 0.85, 1.15, 1.3):
        yield f"brightness x{factor:g}", ImageEnhance.Brightness(image).enhance(factor)
    for percent in (1, 2, 3, 5):
        x, y = round(width * percent / 100), round(height * percent / 100)
        yield f"cropped {percent} % per side", image.crop((x, y, width - x, height - y))
    x, y = round(width * 0.02), round(height * 0.02)
    shared = image.crop((x, y, width - x, height - y)).resize((width // 2, height // 2))
    yield "cropped 2 %, x0.5, q60", reencoded(shared, 60)


def reencoded(image: Image.Image, quality: int) -> Image.Image:
    return Image.open(io.BytesIO(encode_jpeg(image, max_side_px=None, quality=quality))).convert("RGB")


def distances_to(hashes: npt.NDArray[np.uint8], one: npt.NDArray[np.uint8]) -> Distances:
    bits: Distances = np.bitwise_count(hashes ^ one).sum(axis=-1, dtype=np.int64)
    return bits


def measure(files: list[Path]) -> tuple[list[Path], npt.NDArray[np.uint8], dict[str, Distances]]:
    """Readable files, their hashes uint8 [n, 32], and for each kind of copy its distances to the original, [n]."""
    readable: list[Path] = []
    hashes: list[npt.NDArray[np.uint8]] = []
    by_kind: dict[str, list[int]] = {}
    for file in tqdm(files, unit="picture"):
        try:
            image = decode_image(file.read_bytes(), min_side_px=MIN_SIDE_PX, max_pixels=MAX_PIXELS)
        except RowError as error:
            print(f"left out {file}: {error}")
            continue
        original = np.frombuffer(perceptual_hash(image), dtype=np.uint8)
        readable.append(file)
        hashes.append(original)
        for kind, copy in copies(image):
            copied = np.frombuffer(perceptual_hash(copy), dtype=np.uint8)
            by_kind.setdefault(kind, []).append(int(distances_to(copied, original)))
    return readable, np.array(hashes).reshape(-1, 32), {kind: np.array(found) for kind, found in by_kind.items()}


def different_pairs(hashes: npt.NDArray[np.uint8]) -> tuple[npt.NDArray[np.int64], Distances]:
    """All pairs int64 [k, 2] of rows and their distances [k]."""
    first, second = np.triu_indices(len(hashes), k=1)
    return np.stack([first, second], axis=1), distances_to(hashes[first], hashes[second])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pictures", type=int, default=1000, help="at most this many, evenly from the sorted list")
    parser.add_argument("--corpus-pictures", type=int, default=470_586, help="extrapolate to this many (B-T4SA)")
    arguments = parser.parse_args()
    files = sorted(file for file in arguments.folder.rglob("*") if file.suffix.lower() in SUFFIXES)
    files = [file for file in files if not file.name.startswith("._")]
    readable, hashes, by_kind = measure(files[:: max(1, -(-len(files) // arguments.pictures))])
    if len(readable) < 2:
        parser.error(f"{arguments.folder}: expected at least two readable pictures, found {len(readable)}")
    pairs, apart = different_pairs(hashes)

    print(f"\n{len(readable)} pictures. Bits between a picture and its copy:")
    print(f"  {'kind of copy':26}{'median':>8}{'p90':>6}{'p99':>6}{'max':>6}")
    for kind, found in by_kind.items():
        median, p90, p99, top = np.percentile(found, [50, 90, 99, 100])
        print(f"  {kind:26}{median:8.0f}{p90:6.0f}{p99:6.0f}{top:6.0f}")
    low, p1, median = np.percentile(apart, [0.1, 1, 50])
    print(f"\n{len(apart)} pairs of different pictures: p0.1 {low:.0f}, p1 {p1:.0f}, median {median:.0f}. The nearest:")
    for place in np.argsort(apart, kind="stable")[:10]:
        one, other = (readable[row].relative_to(arguments.folder) for row in pairs[place])
        print(f"  {apart[place]:4} bits  {one}  {other}")

    rate = tail_rate(apart)
    corpus_pairs = arguments.corpus_pictures * (arguments.corpus_pictures - 1) / 2
    same, cropped, every = (found_under(by_kind, percent) for percent in (1, 2, 5))
    print(f"\nFalse pairs are extrapolated to {arguments.corpus_pictures:,} pictures. Copies found, by largest crop:")
    print(f"  {'bits':>4}{'<= 1 %':>10}{'<= 2 %':>10}{'<= 5 %':>10}{'merged here':>14}{'false pairs':>14}")
    for bits in range(0, 97, 4):
        shares = "".join(f"{(kind <= bits).mean():10.2%}" for kind in (same, cropped, every))
        print(f"  {bits:4}{shares}{(apart <= bits).sum():14}{rate(bits) * corpus_pairs:14.2g}")
    for name, wanted in (("removal", same), ("group", cropped)):
        bits = int(np.ceil(np.percentile(wanted, 100 * COPIES_FOUND) / 2) * 2)  # distances of phash are even
        while bits > 0 and rate(bits) * corpus_pairs > FALSE_PAIRS_PER_PICTURE * arguments.corpus_pictures:
            bits -= 2
        print(
            f"\n{name} threshold {bits} bits: finds {(wanted <= bits).mean():.1%} of the copies it is meant for, "
            f"{(every <= bits).mean():.1%} of all; {(apart <= bits).sum()} of {len(apart)} different pairs merged here "
            f"and {rate(bits) * corpus_pairs:.2g} false pairs expected in the corpus"
        )


def found_under(by_kind: dict[str, Distances], percent: int) -> Distances:
    """Distances of all copies that lost at most `percent` of each side."""
    crop_of = {kind: int(kind.split()[1]) if kind.startswith("cropped") else 0 for kind in by_kind}
    return np.concatenate([found for kind, found in by_kind.items() if crop_of[kind] <= percent])


def tail_rate(apart: Distances) -> Callable[[float], float]:
    """Share of different pairs within a distance, as a line through the logarithm of the lower tail."""
    bits = np.arange(apart.min(), max(apart.min() + 4, np.percentile(apart, 1)) + 1, 2)
    shares = np.array([(apart <= limit).mean() for limit in bits])
    slope, offset = np.polyfit(bits, np.log10(shares), 1)
    return lambda limit: float(10 ** (offset + slope * limit))


if __name__ == "__main__":
    main()
