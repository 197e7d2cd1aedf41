"""One look at everything that was built: the checks of files, media and rows over all folders of `data/`.

Shards are read one by one. Of all rows together only what joins need is held, without pictures and recordings.
"""

import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from models.teachers.teacher import TEACHER_FILE
from pipeline.engine import shards
from pipeline.engine.progress import Progress
from pipeline.errors import UserError, first_line
from pipeline.frame import acquired, tables
from pipeline.frame.stage import Paths
from pipeline.labels.matching import scores_at
from pipeline.labels.rules import read_rule
from pipeline.verification.media import COLUMNS, Media, check_media
from pipeline.verification.rows import (
    Source,
    check_clean,
    check_ids,
    check_join,
    check_labels,
    check_scores,
    check_sier,
    check_splits,
)
from pipeline.verification.shard_files import Checked, Fault, check_folder, listed_bytes

STAGES = {
    "clean": "clean", "speech": "synthesize", "scores/speech": "score@speech", "scores/image": "score@image",
    "labels": "label", "sier": "assemble",
}  # fmt: skip
HEAVY = {"image", "audio"}
JOINED = {
    "clean": ["id", "text", "sentiment", "group_id"],
    "speech": ["id", "voice", "word_error_rate"],
}  # what other tables are compared with, where it is not all


class Verification:
    """One look at the folders `names` of a project (keys of `STAGES`, in their order), and at the joins of those."""

    def __init__(self, paths: Paths, labels: Sequence[str], names: Sequence[str], media: Media) -> None:
        self.data = paths.data
        self.checkpoints = paths.checkpoints
        self.labels = labels
        self.names = names
        self.media = media
        self.rows = 0
        self.shards = 0
        self._frames: dict[str, pd.DataFrame] = {}
        self._rejected: dict[str, list[str]] = {}
        self._whole: set[str] = set()  # folders of which no shard is missing or damaged

    def faults(self) -> Iterator[Fault]:
        """All of them; a fault never hides another folder's."""
        total = sum(listed_bytes(self.data / name) for name in self.names)
        seen: dict[tuple[str, str], bytes] = {}
        with Progress(total=total, unit="B", unit_scale=True, desc="verify") as bar:
            for name in self.names:
                checked = check_folder(self.data / name, self._schema(name), bar.update)
                yield from checked.faults
                self.shards += len(checked.sound)
                self.rows += sum(marker.part.rows for marker in checked.sound)
                if name in COLUMNS:
                    yield from check_media(checked, name, self.media, seen)
                yield from self._look(name, checked)
        yield from self._joins()

    def dataset(self) -> pd.DataFrame | None:
        """id, split, fold and label (by name) of data/sier, once `faults` has read it whole."""
        if "sier" not in self._whole:
            return None
        rows = self._frames["sier"][["id", "split", "fold", "label"]]
        return rows.assign(label=rows["label"].map(dict(enumerate(self.labels))))

    def _schema(self, name: str) -> pa.Schema | None:
        further: list[str] = []
        if name in {"labels", "sier"}:
            with suppress(UserError):  # told by the joins
                further = read_rule(self.data / "labels").further_columns
        fixed = {"clean": tables.CLEAN, "speech": tables.SPEECH, "labels": tables.labels(further)}
        if name in fixed:
            return fixed[name]
        if name.startswith("scores/"):
            known = self._classes(name.removeprefix("scores/"))
            return tables.scores(known) if known else None
        classes = [self._classes(modality) for modality in tables.MODALITIES]
        if not all(classes):
            return None
        from pipeline.dataset.features import features  # noqa: PLC0415 - brings `datasets` along

        return features(self.labels, classes[0], classes[1], further).arrow_schema

    def _classes(self, modality: str) -> tuple[str, ...]:
        """Of the teacher; where its card is damaged, which the check of scores tells, of the first scores; or none."""
        card = self.checkpoints / tables.CHECKPOINTS[modality] / TEACHER_FILE
        with suppress(OSError, ValueError, KeyError, TypeError):
            return tuple(json.loads(card.read_bytes())["classes"])
        with suppress(OSError, pa.ArrowException, ValueError):
            first = min((self.data / "scores" / modality).glob("part-*.parquet"))
            return tables.score_classes(pq.read_schema(first).names)
        return ()

    def _look(self, name: str, checked: Checked) -> Iterator[Fault]:
        """Rows by themselves; keeps of them what the joins need. Shards with faults of their own are left out."""
        parts = []
        for marker in checked.sound:
            path = checked.folder / marker.part.name
            columns = [column for column in pq.read_schema(path).names if column not in HEAVY]
            try:
                part = pq.read_table(path, columns=columns, partitioning=None).to_pandas()
            except (OSError, pa.ArrowException) as error:
                yield Fault(path, "parquet", f"cannot be read: {first_line(error)}", marker.part.name)
                continue
            parts.append(part.assign(split=marker.shard.split("-")[0]) if name == "sier" else part)
        if not parts or "id" not in parts[0]:
            return  # told by the check of the files
        rows = pd.concat(parts, ignore_index=True)
        if len(parts) == len(checked.sound) and all(fault.kind == "unlisted" for fault in checked.faults):
            self._whole.add(name)
        if (checked.folder / "rejects").is_dir():
            self._rejected[name] = [identity for identity, *_ in shards.read_rejects(checked.folder, checked.sound)]
        yield from check_ids(checked.folder, rows)
        if name == "clean":
            yield from check_clean(checked.folder, rows, of_table=acquired.is_of_table(checked.folder))
        if name == "sier":
            yield from check_splits(checked.folder, rows)
        if name.startswith("scores/"):
            checkpoint = self.checkpoints / tables.CHECKPOINTS[name.removeprefix("scores/")]
            yield from check_scores(checked.folder, rows, checkpoint)
        self._frames[name] = rows[JOINED.get(name, list(rows.columns))].copy()

    def _joins(self) -> Iterator[Fault]:
        known = self._frames
        for name, source in (("speech", "clean"), ("scores/speech", "speech"), ("scores/image", "clean")):
            if {name, source} <= set(known):
                yield from self._join(name, self.data / source, known[source]["id"], source)
        scores = [f"scores/{modality}" for modality in tables.MODALITIES]
        if not {*scores, "labels"} <= set(known):
            return
        speech, image, labels = known["scores/speech"], known["scores/image"], known["labels"]
        scored_twice = speech["id"][speech["id"].isin(image["id"])]
        yield from self._join("labels", self.data / "scores", scored_twice, *scores)
        folder = self.data / "labels"
        rule = None
        try:
            rule = read_rule(folder)
        except UserError:
            yield Fault(folder / tables.RULE_FILE, "rule", "missing or damaged", tables.RULE_FILE)
        else:
            for modality in tables.MODALITIES:
                name = f"scores/{modality}"
                known[name] = scores_at(known[name], rule.temperatures.of(modality))
            speech, image = (known[name] for name in scores)
            whole = {"labels", *scores} <= self._whole
            yield from check_labels(folder, labels, speech, image, rule, whole=whole)
        if {"sier", "clean", "speech"} <= set(known):
            # Without the rule nobody knows at which temperature the dataset has the probabilities.
            expected = self._expected_sier(tables.MODALITIES if rule else (), rule.further_columns if rule else [])
            yield from self._join("sier", folder, expected["id"], "labels", "clean", "speech", *scores)
            yield from check_sier(self.data / "sier", known["sier"], self.labels, expected)

    def _join(self, name: str, shown: Path, ids: pd.Series, *sources: str) -> Iterator[Fault]:
        source = Source(str(shown), ids, whole=set(sources) <= self._whole)
        # Rows of `labels` and `sier` are never rejected; labels drops them by a column.
        rejected = self._rejected.get(name, [])
        return check_join(self.data / name, self._frames[name]["id"], rejected, source, whole=name in self._whole)

    def _expected_sier(self, scored_by: Sequence[str], further: Sequence[str]) -> pd.DataFrame:
        known = self._frames
        kept = known["labels"][known["labels"]["kept"]]
        expected = kept[["id", "label", "decided_by", "confidence", *further]].assign(
            agreement=kept["speech_label"] == kept["image_label"]
        )
        prefix = tables.PROBABILITY_PREFIX
        for modality in scored_by:
            scores = known[f"scores/{modality}"].drop(columns="teacher_digest")
            named = {column: column.replace(prefix, f"{prefix}{modality}_", 1) for column in scores.columns[1:]}
            expected = expected.merge(scores.rename(columns=named), on="id")
        expected = expected.merge(known["clean"], on="id")
        return expected.merge(known["speech"], on="id")
