"""The stage with a batched voice that draws noise: several speakers, and the same bytes however it is run."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
import torch

from pipeline import synthesize
from pipeline.engine.local import LocalEngine
from pipeline.errors import UserError
from pipeline.frame import tables
from pipeline.media.audio import SpeechLimits
from pipeline.speech.intelligibility import RecognitionParams
from pipeline.speech.params import SynthesizeParams
from pipeline.speech.script import SpeakerParams
from pipeline.voices import Request, Spoken, TransformersVitsParams
from pipeline.voices.vits import VitsVoice
from tests.builders_sier import context_at, write_folder
from tests.orders import Reordered
from tests.unit.speech.test_synthesize import rejects_of, rows_of
from tests.vits import write_transformers_vits

WORDS = "rain falls on the old town and nobody goes out today so we sing".split()
TEXTS = [" ".join(WORDS[start : start + 3 + start % 5]) for start in range(9)]
SPEAK_BATCH = VitsVoice.speak_batch
LIMITS = SpeechLimits(min_duration_seconds=0.05, max_duration_seconds=30.0, min_rms=0.005, max_clipped_share=0.001)


def write_clean(root: Path) -> None:
    """Three shards of 4 rows: 9 texts, two of them twice (one by a retweet, one by a second picture), one of signs."""
    empty = {field.name: 0 if field.type == pa.int32() else "" for field in tables.CLEAN}
    texts = [*TEXTS, TEXTS[0], TEXTS[8], "?!"]
    tweets = [*range(100, 109), 200, 108, 201]
    rows = [
        {**empty, "image": b"", "id": f"{tweet}-{number}", "tweet_id": str(tweet), "spoken_text": text,
         "sentiment": tables.SENTIMENTS[number % 3]}
        for number, (tweet, text) in enumerate(zip(tweets, texts, strict=True))
    ]  # fmt: skip
    tables_of = [pa.Table.from_pylist(rows[start : start + 4], schema=tables.CLEAN) for start in (0, 4, 8)]
    write_folder(root, "clean", tables_of)


@pytest.fixture(scope="module")
def params(tmp_path_factory: pytest.TempPathFactory) -> SynthesizeParams:
    folder = write_transformers_vits(tmp_path_factory.mktemp("voice") / "tiny", speakers=3, stochastic=False)
    return SynthesizeParams(
        voice=TransformersVitsParams("transformers_vits", str(folder), noise_scale=0.7, batch_size=3),
        limits=LIMITS,
        recognition=RecognitionParams(share=0.0, max_word_error_rate=0.8, max_missing_end_words=3),
        speakers=SpeakerParams("by_tweet"),
    )


class Stopping:
    """`VitsVoice.speak_batch`, which stops the run after some calls."""

    def __init__(self, calls: int) -> None:
        self.left, self.calls = calls, 0

    def __get__(self, voice: VitsVoice, _: type) -> Callable[[Sequence[Request]], list[Spoken]]:
        def speak_batch(requests: Sequence[Request]) -> list[Spoken]:
            if self.calls == self.left:
                raise UserError("stopped here")
            self.calls += 1
            return SPEAK_BATCH(voice, requests)

        return speak_batch


def bytes_of(root: Path) -> dict[str, str]:
    files = sorted((root / "data" / "speech").rglob("*.parquet"))
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_speech_is_the_same_whichever_shard_comes_first_and_after_a_stop(
    params: SynthesizeParams, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    roots = [tmp_path / name for name in ("whole", "stopped")]
    for root in roots:
        write_clean(root)
    torch.manual_seed(1)
    synthesize.run(params, context_at(roots[0]))
    rows = rows_of(roots[0])
    assert len(rows) == 11
    assert [reject[:2] for reject in rejects_of(roots[0])] == [("201-11", "speech_empty")]
    assert {row["voice"] for row in rows} == {"tiny:0", "tiny:1", "tiny:2"}
    by_id = {row["id"]: row for row in rows}
    assert by_id["108-8"]["audio"] == by_id["108-10"]["audio"]
    assert by_id["100-0"]["voice"] != by_id["200-9"]["voice"], "choose another tweet id for the retweet"
    assert by_id["100-0"]["audio"] != by_id["200-9"]["audio"]

    torch.manual_seed(2)
    backwards = replace(context_at(roots[1]), engine=Reordered(LocalEngine(1), "reverse"))
    with monkeypatch.context() as patch:
        patch.setattr(VitsVoice, "speak_batch", Stopping(1))
        with pytest.raises(UserError, match="stopped here"):
            synthesize.run(params, backwards)
    assert len(list(roots[1].glob(".work/synthesize/*/recorded/part-*.parquet"))) == 1
    going_on = Stopping(99)
    monkeypatch.setattr(VitsVoice, "speak_batch", going_on)
    synthesize.run(params, backwards)
    assert going_on.calls == 2
    assert bytes_of(roots[1]) == bytes_of(roots[0]) != {}


def test_a_random_cast_is_another_one_with_another_seed(params: SynthesizeParams, tmp_path: Path) -> None:
    random = replace(params, speakers=SpeakerParams("random", ("0", "2")))
    said = []
    for seed in (7, 8):
        context = context_at(tmp_path / str(seed))
        write_clean(tmp_path / str(seed))
        synthesize.run(random, replace(context, base=replace(context.base, seed=seed)))
        said.append([row["voice"] for row in rows_of(tmp_path / str(seed))])
    assert said[0] != said[1]
    assert set(said[0] + said[1]) == {"tiny:0", "tiny:2"}


def test_a_speaker_that_the_voice_does_not_have_stops_the_stage_at_once(
    params: SynthesizeParams, tmp_path: Path
) -> None:
    write_clean(tmp_path)
    with pytest.raises(UserError, match="Ann is no speaker of the voice tiny; expected one of: 0, 1, 2"):
        synthesize.run(replace(params, speakers=SpeakerParams("one", ("Ann",))), context_at(tmp_path))
    assert not list(tmp_path.glob(".work/**/part-*"))
