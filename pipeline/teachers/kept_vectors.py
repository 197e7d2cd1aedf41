"""Vectors of a corpus by a frozen encoder, computed once for each item, and mapped into memory.

In   the items of a corpus that the class map keeps; an encoder
Out  `.work/vectors.<modality>.<digest of the encoder>/<fingerprint>/<block>/`: vectors.npy float16 (of packaged
     encoders float32) [n, d], and rows.parquet: whose they are, by the sha256 of the items' files, or why there is
     none; the block's seal, written last

An encoder's vector depends on its item alone. So another C, other classes, another calibration or a corpus that grew
costs the encoding of what no run has seen, which becomes a block more. Blocks are checked against their seals; one that
is damaged is made anew.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from models.errors import ModelError
from models.teachers.encoder_settings import Modality
from models.teachers.encoders import Encoder, create_encoder
from pipeline.engine import files, sealed, shards
from pipeline.engine.environment import device_from_environment
from pipeline.engine.fingerprint import code_version, fingerprint, library_versions
from pipeline.engine.store import Folder
from pipeline.engine.work import finish, work_folder
from pipeline.errors import UserError
from pipeline.frame import acquired
from pipeline.teachers.corpora import Item
from pipeline.teachers.material import Material, Reject
from pipeline.teachers.params import ProbeParams
from pipeline.teachers.vectors import LIBRARIES, encode, frozen, usable_of

ROWS_FILE, VECTORS_FILE = "rows.parquet", "vectors.npy"
# Rows with a content come first, in the order of their vectors.
ROWS = pa.schema([(name, pa.string()) for name in ("file_sha256", "content_sha256", "status", "reason")])
GATHERED_ROWS = 4_096  # at once, beside the result


@dataclass(frozen=True)
class Block:
    """Items that were encoded together."""

    rows: list[dict[str, Any]]  # of `ROWS`
    vectors: NDArray[Any]  # [n, d], mapped


def encoder_of(params: ProbeParams, material: Material) -> Encoder:
    """The encoder that the parameters name; UserError if there is none, or it is of the other modality."""
    try:
        modality: Modality = "speech" if material.modality == "speech" else "image"
        return create_encoder(params.encoder, params.settings, modality=modality)
    except ModelError as error:
        raise UserError(f"{material.section}.encoder = {params.encoder}: {error}") from None


def vectors_by(encoder: Encoder, material: Material) -> tuple[list[Item], NDArray[np.float32]]:
    """The items that can be used, in the order of the corpus, and their vectors float32 [n, d].

    Extends the material's rejects by items that cannot be used or repeat another; UserError if none is left.
    """
    context, digest = material.context, encoder.digest
    mark = fingerprint(
        encoder=digest, code=code_version(__file__), libraries=library_versions(LIBRARIES),
        device=device_from_environment(),
    )  # fmt: skip
    store = work_folder(context.paths.work, f"vectors.{material.modality}.{digest[:16]}", mark)
    file_of = _sha256_of_files(material)
    folders = sorted(store.iterdir()) if store.is_dir() else []
    for damaged in (folder for folder in folders if not sealed.is_whole(folder)):
        files.remove_tree(damaged)
    blocks = [_opened(folder) for folder in folders if folder.is_dir()]
    known = {row["file_sha256"] for block in blocks for row in block.rows}
    missing = {file_of[item.id]: item for item in reversed(material.items) if file_of[item.id] not in known}
    if missing or context.engine.part is not None:  # which ends here
        wanted = [item for item in material.items if missing.get(file_of[item.id]) is item]
        part = fingerprint(vectors=mark, files=[file_of[item.id] for item in wanted])
        work, markers = encode(material, wanted, partial(frozen, encoder.name, encoder.settings), part)
        _join(work, markers, store / part[:16], encoder, file_of)
        blocks.append(_opened(store / part[:16]))
        if isinstance(work, Path):
            files.remove_tree(work)
    finish(store)
    return _gathered(material, blocks, file_of, encoder.dimensions)


def _sha256_of_files(material: Material) -> dict[str, str]:
    """Of each item, by its id: as the manifest has it, or by reading the file; of one that is lost nothing else's."""
    root = material.folder / acquired.FILES
    listed = {str(root / file["name"]): file["sha256"] for file in _listed(material.folder)}
    found = {}
    for item in material.items:
        try:
            found[item.id] = listed.get(str(item.path)) or files.sha256_of(item.path)
        except OSError:
            found[item.id] = fingerprint(lost=item.id)
    return found


def _listed(folder: Path) -> list[dict[str, str]]:
    files_read: list[dict[str, str]] = acquired.read_manifest(folder).get("files", [])
    return files_read


def _join(
    work: Folder, markers: list[shards.Marker], block: Path, encoder: Encoder, file_of: dict[str, str]
) -> None:  # fmt: skip
    """Join finished shards to a block."""
    files.remove_tree(block)
    rows = [
        {"file_sha256": file_of[row["id"]], "content_sha256": row["content_sha256"]}
        for row in shards.read_parts(work, markers, columns=["id", "content_sha256"]).to_pylist()
    ]
    shape = (len(rows), encoder.dimensions)
    rows += [
        {"file_sha256": file_of[identity], "status": status, "reason": reason}
        for identity, status, reason in shards.read_rejects(work, markers)
    ]

    def write(target: Path) -> None:
        dtype = encoder.settings.kept_as
        with target.open("wb") as file:
            np.lib.format.write_array_header_1_0(file, {"descr": dtype, "fortran_order": False, "shape": shape})
            for marker in markers:
                part = shards.read_part(work, marker, columns=["vector"])["vector"]
                for chunk in part.chunks:
                    file.write(chunk.flatten().to_numpy(zero_copy_only=False).astype(dtype).tobytes())

    files.write_atomically(block / VECTORS_FILE, write)
    table = pa.Table.from_pylist(rows, schema=ROWS)
    files.write_atomically(block / ROWS_FILE, partial(pq.write_table, table))
    sealed.seal(block)


def _opened(block: Path) -> Block:
    rows = pq.read_table(block / ROWS_FILE, partitioning=None).to_pylist()
    return Block(rows, np.load(block / VECTORS_FILE, mmap_mode="r", allow_pickle=False))


def _gathered(
    material: Material, blocks: list[Block], file_of: dict[str, str], dimensions: int
) -> tuple[list[Item], NDArray[np.float32]]:
    places = {row["file_sha256"]: (block, place) for block in blocks for place, row in enumerate(block.rows)}
    sha256_of: dict[str, str] = {}
    rejects: list[Reject] = []
    for item in material.items:
        block, place = places[file_of[item.id]]
        row = block.rows[place]
        if row["status"] is None:
            sha256_of[item.id] = row["content_sha256"]
        else:
            rejects.append((item.id, row["status"], row["reason"]))
    usable = usable_of(material, sha256_of, rejects)
    vectors = np.empty((len(usable), dimensions), dtype=np.float32)
    for block in blocks:
        own = [(row, places[file_of[item.id]]) for row, item in enumerate(usable)]
        pairs = np.array([(row, place) for row, (other, place) in own if other is block], dtype=np.intp).reshape(-1, 2)
        for start in range(0, len(pairs), GATHERED_ROWS):
            some = pairs[start : start + GATHERED_ROWS]
            vectors[some[:, 0]] = block.vectors[some[:, 1]]
    return usable, vectors
