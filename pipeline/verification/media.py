"""Can every picture be seen and every recording be heard, and are they as the row says?

Which rows a sample holds is decided by the sha256 of their ids, so that two looks see the same rows, and those of a
smaller folder hold those of a larger one.
"""

import hashlib
import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
import soundfile
from PIL import Image

from pipeline.errors import first_line
from pipeline.media.audio import SAMPLING_RATE_HZ
from pipeline.verification.shard_files import Checked, Fault

Media = Literal["all", "sample", "none"]
SAMPLE_ROWS = 2_000  # of a folder, about
DURATION_TOLERANCE_SECONDS = 1e-3
ROUNDING_PX = 0.5 + 1e-6
COLUMNS = {
    "clean": ["id", "image", "width_px", "height_px"],
    "speech": ["id", "audio", "sampling_rate_hz", "duration_seconds"],
    "sier": ["id", "image", "audio"],
}
_ROWS_AT_A_TIME = 64  # pictures in memory


def check_media(checked: Checked, name: str, media: Media, seen: dict[tuple[str, str], bytes]) -> Iterator[Fault]:
    """Decode media of the folder `name`'s sound shards; `seen` are digests, by column and id, of all folders so far."""
    rows = sum(marker.part.rows for marker in checked.sound)
    share = 1.0 if media == "all" else min(1.0, SAMPLE_ROWS / max(rows, 1))
    for marker in checked.sound if media != "none" else ():
        path = checked.folder / marker.part.name
        try:
            for row in _rows(path, name, share):
                problems = [*_picture_problems(row), *_recording_problems(row)]
                for problem in problems:
                    yield Fault(path, "media", f"row {row['id']}: {problem}", marker.part.name)
                # Of two that differ nobody knows which is right, so no file is named as damaged.
                for problem in _differences(row, seen) if not problems else ():
                    yield Fault(path, "values", f"row {row['id']}: {problem}")
        except (OSError, pa.ArrowException) as error:
            yield Fault(path, "parquet", f"cannot be read: {first_line(error)}", marker.part.name)


def _rows(path: Path, name: str, share: float) -> Iterator[dict[str, Any]]:
    with pq.ParquetFile(path) as file:
        for batch in file.iter_batches(batch_size=_ROWS_AT_A_TIME, columns=COLUMNS[name]):
            chosen = [number for number, identity in enumerate(batch["id"].to_pylist()) if _chosen(identity, share)]
            yield from batch.take(chosen).to_pylist()


def _differences(row: dict[str, Any], seen: dict[tuple[str, str], bytes]) -> Iterator[str]:
    for column, what in (("image", "picture of data/clean"), ("audio", "recording of data/speech")):
        if column in row:
            digest = hashlib.sha256(_bytes(row[column])).digest()
            if seen.setdefault((column, row["id"]), digest) != digest:
                yield f"its {column} is not the {what}"


def _chosen(identity: str, share: float) -> bool:
    return share >= 1 or int.from_bytes(hashlib.sha256(identity.encode()).digest()[:8], "big") < share * 2**64


def _bytes(value: Any) -> bytes:
    data: bytes = (value["bytes"] if isinstance(value, dict) else value) or b""
    return data


def _picture_problems(row: dict[str, Any]) -> Iterator[str]:
    if "image" not in row:
        return
    try:
        with Image.open(io.BytesIO(_bytes(row["image"])), formats=["JPEG"]) as picture:
            picture.load()
            mode, size = picture.mode, picture.size
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        yield f"the picture cannot be decoded: {error}"
        return
    if mode != "RGB":
        yield f"the picture is {mode}, expected RGB"
    # The row states the size of the source; the stored picture may be smaller, its shorter side a rounded number.
    stated = row.get("width_px", size[0]), row.get("height_px", size[1])
    scale = max(size) / max(*stated, 1)
    off = [abs(kept - max(1, scale * whole)) > ROUNDING_PX for kept, whole in zip(size, stated, strict=True)]
    if scale > 1 or any(off):
        yield f"the picture is {size[0]} x {size[1]}, which is no {stated[0]} x {stated[1]} made smaller"


def _recording_problems(row: dict[str, Any]) -> Iterator[str]:
    if "audio" not in row:
        return
    try:
        with soundfile.SoundFile(io.BytesIO(_bytes(row["audio"]))) as file:
            rate_hz, channels, kind = file.samplerate, file.channels, f"{file.format} {file.subtype}"
            frames = len(file.read(dtype="int16"))
    except (soundfile.LibsndfileError, OSError, TypeError) as error:
        yield f"the recording cannot be decoded: {error}"
        return
    expected_hz = row.get("sampling_rate_hz", SAMPLING_RATE_HZ)
    if (kind, channels, rate_hz) != ("FLAC PCM_16", 1, expected_hz):
        yield f"the recording is {kind}, {channels} channels, {rate_hz} Hz; expected FLAC PCM_16, 1, {expected_hz} Hz"
    seconds = frames / rate_hz
    if abs(seconds - row.get("duration_seconds", seconds)) > DURATION_TOLERANCE_SECONDS:
        yield f"the recording lasts {seconds:.3f} s, the row says {row['duration_seconds']:.3f} s"
