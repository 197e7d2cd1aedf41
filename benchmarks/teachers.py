"""Teachers side by side on one set of corpora: held-out accuracy per class, V of what they say, share they decide.

    python -m benchmarks.teachers --corpora FOLDER [--params params.yaml] [--work FOLDER] [--only NAME] [--json FILE]

FOLDER holds b_t4sa, iemocap, fi and emotion_texts in their published formats. Tweets are cleaned, spoken and heard
once; each variant then runs train_teacher, score and label as they are, and its figures are those of their reports.
Variants whose weights are not on this machine are listed as not run, with the line that says why. `--work` keeps the
project, so that a stopped run goes on.
"""

from __future__ import annotations

import copy
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from tabulate import tabulate

from benchmarks import measure
from pipeline.corpora.checks import FORMATS
from pipeline.engine.fingerprint import PROJECT
from pipeline.engine.progress import Progress

LINGUISTIC = {"features": "linguistic", "normalise": "none"}
ZERO_SHOT = {
    "kind": "zero_shot",
    "prompts": {name: [name] for name in ("anger", "excitement", "sadness", "disgust")},
}
MATCHED, AS_IT_IS = {"calibrate": "match"}, {"calibrate": "none"}
# Name -> section train_teacher of one modality -> changes; what is trained for one variant is kept for the next.
Changes = Mapping[str, Any]
VARIANTS: Mapping[str, tuple[Changes, Changes, Changes]] = {  # of speech, of pictures, of label
    "acoustic, normalise none": ({"features": "acoustic"}, {}, AS_IT_IS),
    "acoustic, normalise voice": ({"features": "acoustic", "normalise": "voice"}, {}, AS_IT_IS),
    "acoustic, normalise voice, matched": ({"features": "acoustic", "normalise": "voice"}, {}, MATCHED),
    "linguistic, sentence-encoder+vader": (LINGUISTIC, {}, AS_IT_IS),
    "linguistic, sentence-encoder+vader, matched": (LINGUISTIC, {}, MATCHED),
    "linguistic, sentence-encoder, matched": ({**LINGUISTIC, "words.encoder": "sentence-encoder"}, {}, MATCHED),
    "linguistic, tf-idf+vader, matched": ({**LINGUISTIC, "words.encoder": "tf-idf+vader"}, {}, MATCHED),
    "linguistic, tf-idf, matched": ({**LINGUISTIC, "words.encoder": "tf-idf"}, {}, MATCHED),
    "fused, matched": ({"features": "fused", "normalise": "voice"}, {}, MATCHED),
    "acoustic by wav2vec2-base": (
        {"features": "acoustic", "encoder": "facebook/wav2vec2-base", "weights": "hub"}, {}, MATCHED,
    ),
    "acoustic by wavlm-base-plus": (
        {"features": "acoustic", "encoder": "microsoft/wavlm-base-plus", "weights": "hub"}, {}, MATCHED,
    ),
    "pictures by clip-vit-base-patch32": (
        LINGUISTIC, {"encoder": "openai/clip-vit-base-patch32", "weights": "hub"}, MATCHED,
    ),
    "pictures by dinov2-base": (LINGUISTIC, {"encoder": "facebook/dinov2-base", "weights": "hub"}, MATCHED),
    "pictures by clip-vit-base-patch32, zero-shot": (
        LINGUISTIC, {**ZERO_SHOT, "checkpoint": "openai/clip-vit-base-patch32"}, MATCHED,
    ),
    "pictures by siglip-base-patch16-224, zero-shot": (
        LINGUISTIC, {**ZERO_SHOT, "checkpoint": "google/siglip-base-patch16-224"}, MATCHED,
    ),
}  # fmt: skip


def changed(section: dict[str, Any], changes: Changes) -> dict[str, Any]:
    """A copy with other values, by dotted names; of another kind of teacher only the classes stay."""
    made = copy.deepcopy({"classes": section["classes"]} if "kind" in changes else section)
    for name, value in changes.items():
        *parents, key = name.split(".")
        place = made
        for parent in parents:
            place = place[parent]
        place[key] = value
    return made


def run(root: Path, *stage: str) -> str | None:
    """Run a stage; its last line if it fails."""
    environment = {**os.environ, "PYTHONPATH": str(PROJECT)}
    done = subprocess.run(
        [sys.executable, "-m", f"pipeline.{stage[0]}", *stage[1:]],
        cwd=root, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return (done.stderr.strip().splitlines() or ["failed"])[-1] if done.returncode else None


def write_params(root: Path, sections: Mapping[str, Any]) -> None:
    (root / "params.yaml").write_text(yaml.safe_dump(dict(sections), sort_keys=False), encoding="utf-8")


def report(root: Path, name: str) -> Any:
    return json.loads((root / "reports" / f"{name}.json").read_bytes())


def figures(root: Path) -> dict[str, Any]:
    """Of one variant, from the reports of its stages."""
    label = report(root, "label")
    found: dict[str, Any] = {
        "kept": label["kept"], "rows": label["rows_in"], "decided_by_speech": label["share_decided_by_speech"]
    }  # fmt: skip
    for modality in ("speech", "image"):
        teacher = report(root, f"train_teacher_{modality}")
        shown = teacher["shown"]
        recalls = {name: one["recall"] for name, one in teacher["held_out"]["per_class"].items() if one["support"]}
        told = teacher["held_out"].get("emotion_texts") or (teacher.get("emotion_texts") or {}).get("held_out") or {}
        texts = {name: one["accuracy"] for name, one in told.items()}
        found[modality] = {**shown, "recall": recalls, "texts": texts}
    wanted = {("speech teacher", "all rows"), ("picture teacher", "all rows"), ("labels", "kept rows")}
    for row in label["validity"]["table"]:
        if (row["of"], row["over"]) in wanted:
            found[row["of"]] = {key: row[key] for key in ("cramers_v", "by_chance", "p_value")}
    return found


def line(name: str, found: Mapping[str, Any], modality: str) -> list[str]:
    teacher, of = found[modality], found[f"{'picture' if modality == 'image' else 'speech'} teacher"]
    held = f"{teacher['accuracy']:.2f} ({teacher['low']:.2f}-{teacher['high']:.2f}, n {teacher['rows']}"
    held += f", commonest {teacher['commonest_class']:.2f})"
    share = found["decided_by_speech"] if modality == "speech" else 1 - found["decided_by_speech"]
    labels = found["labels"]
    return [
        name, held, ", ".join(f"{label} {recall:.2f}" for label, recall in teacher["recall"].items()),
        " / ".join(f"{value:.2f}" for value in teacher["texts"].values()),
        f"{of['cramers_v']:.2f} (chance {of['by_chance']:.2f}, p {of['p_value']:.3f})",
        f"{labels['cramers_v']:.2f} (chance {labels['by_chance']:.2f}, p {labels['p_value']:.3f})",
        f"{found['kept']} of {found['rows']}, {share:.0%}",
    ]  # fmt: skip


HEAD = ["teacher", "held out", "recall", "texts", "V of what it says, all rows", "V of kept labels", "kept, decided"]


def main() -> None:
    parser = measure.arguments("teachers", __doc__, "the first variant only: that it runs")
    parser.add_argument("--corpora", type=Path, required=True)
    parser.add_argument("--params", type=Path, default=PROJECT / "params.yaml")
    parser.add_argument("--work", type=Path)
    parser.add_argument("--only", action="append", choices=VARIANTS, default=[])
    options = parser.parse_args()
    facts = measure.machine()
    sections = yaml.safe_load(options.params.read_text(encoding="utf-8"))
    for corpus in FORMATS:
        sections["acquire"][corpus]["path"] = str((options.corpora / corpus).resolve())
    found, not_run = {}, {}
    with tempfile.TemporaryDirectory(prefix="sier-teachers-") as made:
        root = options.work or Path(made)
        root.mkdir(parents=True, exist_ok=True)
        write_params(root, sections)
        for stage in (*(("acquire", corpus) for corpus in FORMATS), ("clean",), ("synthesize",)):
            if (error := run(root, *stage)) is not None:
                sys.exit(error)
        names = options.only or (list(VARIANTS)[:1] if options.quick else list(VARIANTS))
        for name in Progress(names, desc="teachers", unit="teacher"):
            speech, image, label = VARIANTS[name]
            teachers = sections["train_teacher"]
            teachers = {"speech": changed(teachers["speech"], speech), "image": changed(teachers["image"], image)}
            write_params(root, {**sections, "train_teacher": teachers, "label": changed(sections["label"], label)})
            stages = [(stage, modality) for stage in ("train_teacher", "score") for modality in ("speech", "image")]
            errors = (run(root, *stage) for stage in (*stages, ("label",)))
            error = next((error for error in errors if error is not None), None)
            if error is not None:
                not_run[name] = error
            else:
                found[name] = figures(root)
    for modality in ("speech", "image"):
        # A teacher that stays the same is one line.
        lines = {
            json.dumps(one[modality]) + str(VARIANTS[name][2]): line(name, one, modality) for name, one in found.items()
        }
        print(f"\n{modality}\n" + tabulate(list(lines.values()), HEAD, tablefmt="github", disable_numparse=True))
    for name, error in not_run.items():
        print(f"not run: {name}: {error}")
    measure.write_json("teachers", facts, {"teachers": found, "not_run": not_run}, options.json)


if __name__ == "__main__":
    main()
