"""Whether everything that a run loads can be loaded: it would else be found out by a late stage, after days of others.

In   sections of a params file that `pipeline.commands.check` has found sound; the project's folder
Out  UserError about the first fault: a corpus, the voice, the recogniser, a teacher's encoder, checkpoint or scores, a
     network at its input size, weights, the device, the font of pictures, disk for downloads
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

from models.errors import ModelError
from models.teachers.encoder_settings import HUB, EncoderSettings
from models.teachers.encoders import create_encoder, is_backbone
from models.teachers.tfidf_encoder import TFIDF_ENCODERS
from pipeline.errors import UserError
from pipeline.explanation.figure_text import expect_font
from pipeline.frame import outside_scores, tables
from pipeline.frame.params import PARAMS_FILE, section
from pipeline.frame.stage import BaseParams
from pipeline.labels.rules import LabelParams
from pipeline.networks.params import TrainParams, read_models
from pipeline.planning import needs
from pipeline.speech import loading
from pipeline.speech.params import SynthesizeParams
from pipeline.teachers.params import (
    SECTION,
    CheckpointParams,
    EndpointParams,
    FinetuneParams,
    ProbeParams,
    ScoresParams,
    Teachers,
    ZeroShotParams,
)

SAMPLE_BYTES = 2 * 10**9  # of outputs, cache and unfinished work of the sample


def expect_ready(sections: Mapping[str, Any], root: Path) -> None:
    """Raises UserError where a stage would."""
    downloads = needs.downloads_bytes(sections, root)
    for need in (*needs.corpora(sections, root), *needs.device(()), *needs.disk(SAMPLE_BYTES, downloads, root)):
        if need.fatal:
            raise UserError(need.what)
    expect_font()
    loading.load(section(sections, "synthesize", SynthesizeParams), section(sections, "base", BaseParams))
    _expect_teacher("speech", section(sections, "train_teacher.speech", SECTION))
    _expect_teacher("image", section(sections, "train_teacher.image", SECTION))
    for place, voter in enumerate(section(sections, "label", LabelParams).further):
        outside_scores.read(voter, f"label.further.{place}")
    _expect_networks(sections)
    for need in needs.weights(sections):
        if need.fatal:
            raise UserError(need.what)


def _expect_teacher(modality: Literal["speech", "image"], params: Teachers) -> None:
    where = f"{PARAMS_FILE}: train_teacher.{modality}"
    heard = getattr(params, "features", "acoustic")
    if isinstance(params, ZeroShotParams | EndpointParams):
        _expect_told(params, where)
        return
    if isinstance(params, ScoresParams):
        outside_scores.read(params, f"train_teacher.{modality}")
        return
    if not isinstance(params, ProbeParams):
        _expect_checkpoint("words" if heard == "linguistic" else modality, params, where)
        return
    names = {} if heard == "linguistic" else {"encoder": params.encoder}
    if heard != "acoustic" and params.words:
        names["words.encoder"] = params.words.encoder
    for key, name in names.items():
        try:
            if key == "encoder":
                _expect_encoder(modality, name, params.settings)
            elif name not in TFIDF_ENCODERS:  # which are learnt
                create_encoder(name)
        except ModelError as error:
            raise UserError(f"{where}.{key}: {error}") from None


def _expect_encoder(modality: Literal["speech", "image"], name: str, settings: EncoderSettings) -> None:
    if settings.weights != HUB:
        create_encoder(name, settings, modality=modality)
    elif modality == "image" and is_backbone(name):
        from models.weights.backbones import expect_on_hub  # noqa: PLC0415 - seconds

        expect_on_hub(name)
    else:
        from models.teachers.towers import check_repository  # noqa: PLC0415 - seconds

        check_repository(name, settings, modality)


def _expect_told(params: ZeroShotParams | EndpointParams, where: str) -> None:
    """A folder is loaded, of a repository of the Hub what is small; an endpoint has to be up, and is sent no item."""
    try:
        if isinstance(params, EndpointParams):
            from models.teachers.endpoint.client import Client  # noqa: PLC0415 - only who asks one needs it
            from pipeline.teachers.endpoint import patience_of  # noqa: PLC0415 - likewise

            Client(patience_of(params)).expect_up()
            return
        from models.teachers.zero_shot import network  # noqa: PLC0415 - seconds

        if Path(params.checkpoint).is_dir():
            network.load(params.checkpoint, params.revision)
        else:
            network.expect_family(params.checkpoint, params.revision)
    except ModelError as error:
        key = "model" if isinstance(params, EndpointParams) else "checkpoint"
        raise UserError(f"{where}.{key}: {error}") from None


def _expect_checkpoint(
    modality: Literal["speech", "words", "image"], params: CheckpointParams | FinetuneParams, where: str
) -> None:
    """A folder is loaded; of a repository of the Hub what is small, as weights come when they are wanted."""
    from models.teachers.pretrained import (  # noqa: PLC0415 - seconds
        describe,
        load_classifier,
        load_preprocessor,
        load_pretrained,
    )
    from models.teachers.repository import find  # noqa: PLC0415 - as above
    from pipeline.teachers.checkpoint import output_map_of, said_of  # noqa: PLC0415 - as above

    local = Path(params.checkpoint).is_dir()
    try:
        if isinstance(params, FinetuneParams):
            base = find(params.checkpoint, params.revision)
            if local:
                load_pretrained(base, modality, sorted({name for name in params.classes.values() if name}))
        else:
            described = describe(params.checkpoint, modality, params.revision, said_of(params))
            output_map_of(params, described.labels, described.head, where)
            base = described.repository
            if local:
                load_classifier(described, modality)
        if not local:
            load_preprocessor(base, modality)
    except ModelError as error:
        raise UserError(f"{where}.checkpoint: {error}") from None


def _expect_networks(sections: Mapping[str, Any]) -> None:
    from pipeline.networks.build import expect_buildable  # noqa: PLC0415 - seconds

    train, base = section(sections, "train", TrainParams), section(sections, "base", BaseParams)
    for name, model in read_models(sections).items():
        labels = tables.SENTIMENTS if model.rows == "clean" else base.labels
        try:
            expect_buildable(model, train, labels)
        except (UserError, ModelError) as error:
            raise UserError(f"{PARAMS_FILE}: models.{name}: {error}") from None
