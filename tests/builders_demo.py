"""What `sier demo` needs of a run, made in seconds: real encoders, teachers and a network of random weights."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from models.teachers.encoders import create_encoder
from models.teachers.probe import LinearModel, Probe
from models.teachers.standardise import Statistics
from pipeline.frame import tables
from pipeline.frame.params import read_params, section
from pipeline.labels.rules import AppliedRule, LabelParams, Temperatures
from tests.builders_nets import tiny_net

PARAMS = Path(__file__).resolve().parents[1] / "params.yaml"
CLASSES = ("anger", "disgust", "excitement", "sadness")
LABELS = {0: "anger", 1: "happy", 2: "hate", 3: "sad"}
ENCODERS = {"speech": "sentence-encoder", "image": "tf_efficientnet_lite0"}


def write_run(root: Path, **rule: Any) -> None:
    """Parameters, teachers, rule and network in `root`; `rule` changes section `label`."""
    (root / "params.yaml").write_bytes(PARAMS.read_bytes())
    for seed, (modality, name) in enumerate(ENCODERS.items()):
        encoder = create_encoder(name)
        size = encoder.dimensions
        model = LinearModel(np.random.default_rng(seed).normal(size=(4, size)) / np.sqrt(size), np.zeros(4))
        probe = Probe(encoder, CLASSES, model, "none", Statistics(np.zeros(size), np.full(size, 0.05)))
        probe.save(root / "data" / "checkpoints" / tables.CHECKPOINTS[modality])
    params = asdict(section(read_params(PARAMS), "label", LabelParams)) | {"calibrate": "none", "threshold": 0.3}
    applied = AppliedRule(**params | rule, temperatures=Temperatures())
    (root / "data" / "labels").mkdir(parents=True)
    (root / "data" / "labels" / tables.RULE_FILE).write_bytes(TypeAdapter(AppliedRule).dump_json(applied))
    net = tiny_net(duration_seconds=5.0, id2label=LABELS, label2id={name: place for place, name in LABELS.items()})
    net.save_pretrained(root / "data" / "checkpoints" / "parallelnet")
