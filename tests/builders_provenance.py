"""What a build may be made with: manifests of corpora, parameters of voice and teachers, the teachers' reports."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pipeline.dataset import sources
from pipeline.dataset.sources import Provenance
from pipeline.labels.rules import Further

PAPER = {"b_t4sa": "b_t4sa", "iemocap": "iemocap", "fi": "fi"}
PROBES: Mapping[str, Any] = {
    "speech": {
        "kind": "probe", "features": "linguistic", "encoder": "whisper-tiny.en",
        "words": {"encoder": "sentence-encoder+vader"},
    },
    "image": {"kind": "probe", "encoder": "tf_efficientnet_lite0"},
}  # fmt: skip
JOE = {"engine": "piper", "model": "en_US-joe-medium"}
HEARD = {"share": 1.0, "model": None}


def write_manifest(folder: Path, form: str, *, sample: bool = False, files: Sequence[str] = ()) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    manifest = {
        "format": form, "origin": "sample" if sample else "local copy",
        "files": [{"name": name, "bytes": 1, "sha256": "0"} for name in files],
    }  # fmt: skip
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


def provenance(
    corpora: Path, *, formats: Mapping[str, str] = PAPER, samples: Sequence[str] = (), files: Sequence[str] = (),
    teachers: Mapping[str, Any] = PROBES, texts: Sequence[str] = (), voice: Mapping[str, Any] = JOE,
    recognition: Mapping[str, Any] = HEARD, voices: Sequence[str] = ("en_US-joe-medium",),
    voters: Sequence[Further] = (), reported: Mapping[str, Any] | None = None,
) -> Provenance:  # fmt: skip
    """Of a build with these parts; `files`: of fi, `texts`: parts of the emotion texts that the speech teacher had;
    `reported`: more of what the speech teacher's metrics say.
    """
    for name, form in formats.items():
        write_manifest(corpora / name, form, sample=name in samples, files=files if name == "fi" else ())
    write_manifest(corpora / "emotion_texts", "emotion_texts", sample="emotion_texts" in samples)
    told: dict[str, Any] = {"used": 10 if texts else 0, "held_out": {name: {} for name in texts}}
    reports = {
        name: {"kind": given["kind"], "features": given.get("features", "acoustic") if name == "speech" else None}
        for name, given in teachers.items()
    }
    reports["speech"] |= {"emotion_texts": told, **(reported or {})}
    for name, given in teachers.items():
        if given["kind"] == "scores":
            reports[name]["outside"] = {"rows": 1_234, "corpus_rows": 0}
            reports[name]["features"] = "outside" if name == "speech" else None
    sections = {"synthesize": {"voice": voice, "recognition": recognition}, "train_teacher": teachers}
    return sources.gather(sections, reports, corpora, list(voices), voters)
