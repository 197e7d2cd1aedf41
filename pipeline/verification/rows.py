"""Are the rows of each table possible, by themselves and beside those of the tables that they were made from?

Labels and joins are worked out anew by other code than that of the stages.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from models.teachers.teacher import TEACHER_FILE
from pipeline.frame import tables
from pipeline.labels.pool import LEAST_PROBABILITY
from pipeline.labels.rules import AppliedRule, LabelParams
from pipeline.tweets.text import comparison_text
from pipeline.verification.shard_files import Fault

MATCH_TOLERANCE = 1e-4  # of a mean confidence
SUM_TOLERANCE = 1e-4  # of probabilities, float32


@dataclass(frozen=True)
class Source:
    """What a table was made from; where its ids are not `whole`, nothing can be said of others."""

    name: str
    ids: pd.Series
    whole: bool = True


def frame_fault(where: Path, kind: str, rows: pd.DataFrame, wrong: Any, what: str) -> Iterator[Fault]:
    """One fault for all rows where `wrong` holds, naming the first; none where it never does."""
    bad = rows[np.asarray(wrong, dtype=bool)]
    if len(bad):
        more = f", and {len(bad) - 1} more rows" if len(bad) > 1 else ""
        yield Fault(where, kind, f"row {bad['id'].iloc[0]}: {what}{more}")


def check_ids(where: Path, rows: pd.DataFrame) -> Iterator[Fault]:
    """Ids are `<tweet id>-<n>`, each once."""
    yield from frame_fault(where, "ids", rows, rows["id"].duplicated(), "its id stands there twice")
    well_formed = rows["id"].str.fullmatch(r"\S+-\d+")
    yield from frame_fault(where, "ids", rows, ~well_formed.astype(bool), "expected <tweet id>-<n> for an id")


def check_clean(where: Path, rows: pd.DataFrame, *, of_table: bool = False) -> Iterator[Fault]:
    """Values of `tables.CLEAN`, and that what belongs together is in one group.

    `of_table`: the corpus is a table of its maker's own, whose rows have ids of their own and perhaps no sentiment.
    """
    parts = rows["id"].str.rpartition("-")
    strange = (parts[2] != rows["image_index"].astype(str)) | ((parts[0] != rows["tweet_id"]) & (not of_table))
    yield from frame_fault(where, "ids", rows, strange, "its id is not its tweet id and image number")
    yield from frame_fault(where, "values", rows, rows["spoken_text"].str.strip() == "", "nothing to speak")
    known = rows["sentiment"].isin(tables.SENTIMENTS) | (rows["sentiment"].isna() & of_table)
    yield from frame_fault(where, "values", rows, ~known, f"its sentiment is none of {', '.join(tables.SENTIMENTS)}")
    for column, what in (("tweet_id", "tweet"), ("image_sha256", "picture"), ("spoken_text", "text")):
        torn = rows[rows.groupby(column)["group_id"].transform("nunique") > 1]
        if column == "spoken_text":
            # Emoji are spoken, but are no words to group by; a text without words is similar to none.
            words = torn["text"].map(comparison_text)
            torn = torn[(words != "") & (torn["group_id"].groupby(words).transform("nunique") > 1)]
        wrong = rows.index.isin(torn.index)
        yield from frame_fault(where, "groups", rows, wrong, f"another row of its {what} is in another group")


def check_scores(where: Path, rows: pd.DataFrame, checkpoint: Path) -> Iterator[Fault]:
    """Probabilities are probabilities, of the teacher that is there."""
    columns = [name for name in rows.columns if name.startswith(tables.PROBABILITY_PREFIX)]
    values = rows[columns].to_numpy(dtype=np.float64)
    possible = (np.isfinite(values) & (values >= 0) & (values <= 1)).all(axis=1)
    yield from frame_fault(where, "probabilities", rows, ~possible, "a probability is not between 0 and 1")
    card_file = checkpoint / TEACHER_FILE
    try:
        card = json.loads(card_file.read_bytes())
        digest = card["digest"]
    except (OSError, ValueError, KeyError, TypeError):
        card, digest = {}, None
        yield Fault(card_file, "teacher", "missing or damaged; it says which teacher scored")
    sums = values.sum(axis=1)
    # A teacher that keeps the probability of classes outside leaves it out of its columns.
    low = np.zeros(len(rows), dtype=bool) if card.get("outside_classes") == "keep" else sums < 1 - SUM_TOLERANCE
    off = possible & (low | (sums > 1 + SUM_TOLERANCE))
    yield from frame_fault(where, "probabilities", rows, off, "its probabilities do not sum to 1")
    if digest is not None:
        other = rows["teacher_digest"] != digest
        yield from frame_fault(where, "teacher", rows, other, f"scored by another teacher than {checkpoint} holds")


def check_join(
    where: Path, ids: pd.Series, rejected: Sequence[str], source: Source, *, whole: bool = True
) -> Iterator[Fault]:
    """Each row of `source` is a row here or a reject, once, and no other is; `whole`: if these are all rows here."""
    here = pd.Index(pd.concat([ids, pd.Series(list(rejected), dtype=ids.dtype)]))
    wanted = pd.Index(source.ids)
    lost, foreign = wanted.difference(here), here.difference(wanted)
    if len(lost) and whole:
        yield Fault(where, "join", f"{len(lost)} rows of {source.name} are neither here nor rejected, first {lost[0]}")
    if len(foreign) and source.whole:
        yield Fault(where, "join", f"{len(foreign)} rows are not in {source.name}, first {foreign[0]}")
    twice = here[here.duplicated()]
    if len(twice):
        yield Fault(where, "join", f"{len(twice)} rows are both here and rejected, first {twice[0]}")


def check_labels(
    where: Path, labels: pd.DataFrame, speech: pd.DataFrame, image: pd.DataFrame, rule: AppliedRule, *, whole: bool
) -> Iterator[Fault]:
    """Labels follow from scores by the rule that data/labels states, where both scores are there.

    Scores are those at the rule's temperatures; `whole`: if these are all rows.
    """
    rows = labels.merge(_best(speech, "speech"), on="id").merge(_best(image, "image"), on="id")
    surest = {modality: rows[f"best_{modality}"].to_numpy() for modality in tables.MODALITIES}
    further = {one.name: _further(rows, one.name) for one in rule.further}
    surest |= {name: said.max(axis=1).dropna().to_numpy() for name, said in further.items()}
    for modality, temperature in rule.temperatures.by_voter.items():
        mean = surest[modality].mean(dtype=np.float64) if len(surest[modality]) else rule.threshold
        if rule.calibrate == "none" and temperature != 1:
            yield Fault(where / tables.RULE_FILE, "rule", f"temperature {temperature} of {modality}, expected 1")
        elif rule.calibrate == "match" and whole and abs(mean - rule.threshold) > MATCH_TOLERANCE:
            what = f"temperature {temperature} of {modality} makes the mean confidence {mean:.4f}, not {rule.threshold}"
            yield Fault(where / tables.RULE_FILE, "rule", what)
    for name, said in further.items():
        voted = said.notna().any(axis=1)
        possible = said.ge(0).all(axis=1) & ((said.sum(axis=1, skipna=False) - 1).abs() <= SUM_TOLERANCE)
        yield from frame_fault(where, "probabilities", rows, voted & ~possible, f"no probabilities of voter {name}")
    by_speech = rows["best_speech"] >= rows["best_image"]
    source = rows["first_speech"].where(by_speech, rows["first_image"])
    surer = rows["best_speech"].where(by_speech, rows["best_image"])
    if rule.rule == "log_pool":
        by_speech, source, surer = _pooled(rows, speech, image, rule, further)
    decided = pd.Series(np.where(by_speech, "speech", "image"), index=rows.index)
    reason = pd.Series("", index=rows.index)
    if rule.rule == "agreement":
        reason[rows["first_speech"] != rows["first_image"]] = "teachers_disagree"
    if rule.rule == "disagreement":
        reason[rows["first_speech"] == rows["first_image"]] = "teachers_agree"
    reason[surer < np.float32(rule.threshold)] = "below_threshold"
    reason[source.isin(rule.neutral)] = "neutral"
    expected = {
        "speech_label": rows["first_speech"], "speech_max": rows["best_speech"], "image_label": rows["first_image"],
        "image_max": rows["best_image"], "decided_by": decided, "source_label": source,
        "label": source.map({**rule.remap, **{name: name for name in rule.neutral}}), "confidence": surer,
        "kept": reason == "", "reason": reason,
    }  # fmt: skip
    for column, values in expected.items():
        wrong = rows[column] != values
        if wrong.any():
            stored, given = rows[column][wrong].iloc[0], values[wrong].iloc[0]
            what = f"{column} is {stored}, the scores and {tables.RULE_FILE} give {given}"
            yield from frame_fault(where, "labels", rows, wrong, what)


def _best(scores: pd.DataFrame, modality: str) -> pd.DataFrame:
    """Largest probability of each row and the first class that has it."""
    values = scores[[name for name in scores.columns if name.startswith(tables.PROBABILITY_PREFIX)]]
    classes = np.array(tables.score_classes(list(values.columns)))
    first = classes[np.argmax(values.to_numpy(), axis=1)]
    return pd.DataFrame({"id": scores["id"], f"best_{modality}": values.max(axis=1), f"first_{modality}": first})


def _further(rows: pd.DataFrame, voter: str) -> pd.DataFrame:
    """Columns p_<class> of what data/labels holds of a voter besides the teachers."""
    prefix = f"{tables.PROBABILITY_PREFIX}{voter}_"
    return rows.filter(regex=f"^{prefix}").rename(
        columns=lambda name: name.replace(prefix, tables.PROBABILITY_PREFIX, 1)
    )


def _pooled(
    rows: pd.DataFrame,
    speech: pd.DataFrame,
    image: pd.DataFrame,
    rule: LabelParams,
    further: Mapping[str, pd.DataFrame],
) -> tuple[pd.Series, pd.Series, pd.Series]:
    """Of `rows`: whether speech adds more, the class, its probability. What rounding may turn is taken as it stands."""
    teachers = [table.set_index("id").drop(columns="teacher_digest").loc[rows["id"]] for table in (speech, image)]
    teachers += further.values()
    known = [tables.score_classes(list(teacher.columns)) for teacher in teachers]
    names = [name for name in dict.fromkeys(name for classes in known for name in classes)
             if name in rule.neutral or all(name in classes for classes in known)]  # fmt: skip
    weights = np.array([rule.speech_weight, 1 - rule.speech_weight, *(one.weight for one in rule.further)])[
        :, np.newaxis
    ]
    voting = weights * np.stack([teacher.notna().any(axis=1) for teacher in teachers])
    raised = []
    for teacher, weight in zip(teachers, weights / voting.sum(axis=0), strict=True):
        shares = teacher.astype(np.float64).reindex(columns=[tables.PROBABILITY_PREFIX + name for name in names])
        shares = shares.div(shares.sum(axis=1).clip(lower=LEAST_PROBABILITY), axis=0).clip(lower=LEAST_PROBABILITY)
        shares *= shares.notna().sum(axis=1).max() / len(names)
        raised.append(shares.fillna(1 / len(names)).to_numpy() ** weight[:, np.newaxis])
    product = np.prod(raised, axis=0)
    pooled = (product / product.sum(axis=1, keepdims=True)).astype(np.float32)
    best, at = pooled.max(axis=1), np.arange(len(rows))
    stored = pd.Index(names).get_indexer(pd.Index(rows["source_label"]))
    as_good = (stored >= 0) & np.isclose(pooled[at, stored], best, rtol=0, atol=SUM_TOLERANCE / 100)
    winner = np.where(as_good, stored, pooled.argmax(axis=1))
    ahead = np.divide(*(powers[at, winner] / np.prod(powers ** (1 / len(names)), axis=1) for powers in raised[:2]))
    by_speech = np.where(np.isclose(ahead, 1), rows["decided_by"] == "speech", ahead > 1)
    surer = np.where(np.isclose(best, rows["confidence"], atol=SUM_TOLERANCE / 100), rows["confidence"], best)
    result = pd.DataFrame({"by": by_speech, "class": np.array(names)[winner], "surer": surer}, index=rows.index)
    return result["by"], result["class"], result["surer"]


def check_sier(where: Path, sier: pd.DataFrame, names: Sequence[str], joined: pd.DataFrame) -> Iterator[Fault]:
    """The dataset holds the values that the other tables have of the kept rows: `joined`, with labels by name."""
    labelled = sier.assign(label=sier["label"].map(dict(enumerate(names))))
    rows = labelled.merge(joined, on="id", suffixes=("", "_expected"))
    for column in joined.columns.drop("id"):
        wrong = rows[column] != rows[f"{column}_expected"]
        both_null = rows[column].isna() & rows[f"{column}_expected"].isna()
        yield from frame_fault(where, "values", rows, wrong & ~both_null, f"its {column} is not that of its source")


def check_splits(where: Path, sier: pd.DataFrame) -> Iterator[Fault]:
    """No group is torn; `sier` is the dataset's rows without media, with a column `split`."""
    wrong = (sier["split"] == "train") != sier["fold"].notna()
    yield from frame_fault(where, "folds", sier, wrong, "fold and split differ")
    for column, what in (("split", "train and test"), ("fold", "several folds")):
        spread = sier.groupby("group_id")[column].transform("nunique")
        yield from frame_fault(where, "leak", sier, spread > 1, f"its group is torn between {what}")
