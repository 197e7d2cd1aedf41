"""The teacher that asks a model behind an endpoint about each item: a picture, or the words heard in an utterance.

In   RGB pictures, or texts as heard
Out  float32 [n, classes], rows sum to 1; an ItemError for an item without a usable answer

Where the endpoint gives probabilities of tokens, those of the classes are taken from them; where it does not, the class
that it names gets all but `smoothing`, which the others share. Every answer is kept on disk, by content and question.
"""

import hashlib
import json
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray
from scipy.special import softmax

from models.errors import ItemError, ModelError
from models.teachers.endpoint.cache import Answer, AnswerCache
from models.teachers.endpoint.client import Client, Patience
from models.teachers.endpoint.question import Question
from models.teachers.standardise import Statistics
from models.teachers.teacher import TEACHER_FILE, Normalise, expect_statistics
from models.teachers.words_encoder import expect_words

LEAST = 1e-6  # of a probability that tokens tell, so that it has a logarithm
# Of so many questions or more, too many without a usable answer end the run.
QUESTIONS_MIN = 50


@dataclass
class Tally:
    """What came of the questions so far, those whose answers were kept from an earlier run included."""

    questions: int = 0
    with_token_probabilities: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    failed: dict[str, int] = field(default_factory=dict)  # by status

    def count(self, answer: Answer) -> None:
        """One more."""
        self.questions += 1
        self.with_token_probabilities += answer.probabilities is not None
        self.prompt_tokens += answer.prompt_tokens
        self.completion_tokens += answer.completion_tokens
        if answer.said is None:
            self.failed[answer.status] = self.failed.get(answer.status, 0) + 1

    def values(self) -> dict[str, Any]:
        """Plain values for a metrics file."""
        return {**asdict(self), "failed": dict(sorted(self.failed.items()))}


@dataclass(frozen=True)
class EndpointTeacher:
    """A model behind an endpoint and what it is asked; `cost` is what measuring it has cost."""

    question: Question
    smoothing: float
    patience: Patience
    temperature: float = 1.0  # 1 if not calibrated
    cost: Mapping[str, Any] = field(default_factory=dict)
    cache_folder: Path | None = None  # of answers to any question
    tally: Tally = field(default_factory=Tally)

    normalise: Normalise = "none"
    by_length: bool = False

    @property
    def features(self) -> Literal["acoustic", "linguistic"]:
        """By what it is asked about; of pictures it means nothing."""
        return self.question.features

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the probability columns."""
        return self.question.classes

    @property
    def digest(self) -> str:
        """sha256 over the question, smoothing and temperature, hex; what the model's name stands for is not known."""
        facts = [self.question.digest, self.smoothing, self.temperature]
        return hashlib.sha256(json.dumps(facts).encode()).hexdigest()

    @cached_property
    def _cache(self) -> AnswerCache:
        return AnswerCache(self.cache_folder / self.question.digest[:16] if self.cache_folder else None)

    @cached_property
    def _client(self) -> Client:
        return Client(self.patience)

    def check(self, item: Any) -> None:
        """Raises ItemError if an utterance has no word."""
        if self.features == "linguistic":
            expect_words(item)

    def represent(self, batch: Sequence[Any]) -> list[NDArray[np.float32] | ItemError]:
        """Logarithms float32 [classes] of each item's probabilities, or why there is no answer.

        Raises:
            ModelError: the endpoint cannot be reached or does not know the model, or too many answers were unusable.
        """
        keys = [self.question.key(item) for item in batch]
        kept = {key: answer for key in keys if (answer := self._cache.get(key)) is not None}
        answers = {**kept, **self._ask({key: item for key, item in zip(keys, batch, strict=True) if key not in kept})}
        for answer in answers.values():
            self.tally.count(answer)
        if self.tally.questions >= QUESTIONS_MIN:
            self.expect_few_failures()
        return [self._said(answers[key]) for key in keys]

    def expect_few_failures(self) -> None:
        """Raises ModelError if more questions than `max_failed_share` had no usable answer."""
        expect_few_failures(
            self.question.model, self.tally.questions, self.tally.failed, self.patience.max_failed_share
        )

    def classify(self, representation: NDArray[np.float32], statistics: Statistics | None) -> NDArray[np.float32]:
        """Probabilities float32 [n, classes]: to the power of 1/temperature, divided by their sum."""
        expect_statistics(self.normalise, statistics)
        found: NDArray[np.float32] = softmax(representation.astype(np.float64) / self.temperature, axis=1).astype(
            np.float32
        )
        return found

    def predict_proba(self, batch: Sequence[Any], statistics: Statistics | None = None) -> NDArray[np.float32]:
        """Probabilities float32 [n, classes]; raises the ItemError of the first item without an answer."""
        rows = self.represent(batch)
        for row in rows:
            if isinstance(row, ItemError):
                raise row
        return self.classify(np.array(rows, dtype=np.float32), statistics)

    def save(self, folder: Path) -> None:
        """Write `teacher.json` into `folder`: there are no weights to keep."""
        folder.mkdir(parents=True, exist_ok=True)
        card = {
            "kind": "endpoint", "normalise": self.normalise, **asdict(self.question),
            "question_digest": self.question.digest, "smoothing": self.smoothing, "temperature": self.temperature,
            "patience": asdict(self.patience), "cost_of_measuring": dict(self.cost), "digest": self.digest,
        }  # fmt: skip
        (folder / TEACHER_FILE).write_text(json.dumps(card, indent=2) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, *, cache_folder: Path | None = None) -> Self:
        """The teacher that `save` wrote; ModelError if its file is broken."""
        try:
            card = json.loads((folder / TEACHER_FILE).read_text(encoding="utf-8"))
            told = {name: card[name] for name in Question.__dataclass_fields__}
            question = Question(**{**told, "classes": tuple(told["classes"])})
            teacher = cls(
                question, card["smoothing"], Patience(**card["patience"]), card["temperature"],
                card["cost_of_measuring"], cache_folder,
            )  # fmt: skip
            saved = card["digest"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            found = f"{type(error).__name__}: {error}"
            raise ModelError(f"{folder}: expected a saved teacher, found {found}; run train_teacher again") from None
        if teacher.digest != saved:
            raise ModelError(f"{folder}: the teacher is not the one that was saved; run train_teacher again")
        return teacher

    def _ask(self, items: Mapping[str, Any]) -> dict[str, Answer]:
        """Answers about items by their keys, as many at once as patience allows; each is kept as it comes."""
        if not items:
            return {}
        client, ended = self._client, threading.Event()

        def ask(key: str) -> Answer:
            try:
                answer = self.question.understood(client.ask(self.question.about(items[key]), ended))
            except ItemError as error:
                answer = Answer(None, status=error.status, reason=error.reason)
            else:
                self._cache.put(key, answer)  # what failed on the way is asked again by the next run
            return answer

        with ThreadPoolExecutor(self.patience.concurrency) as pool:
            futures = {key: pool.submit(ask, key) for key in items}
            try:
                # What ends the run is not kept waiting by questions whose turn has not come.
                for future in wait(futures.values(), return_when=FIRST_EXCEPTION).done:
                    future.result()
                return {key: future.result() for key, future in futures.items()}
            except BaseException:
                ended.set()
                pool.shutdown(wait=False, cancel_futures=True)
                raise

    def _said(self, answer: Answer) -> NDArray[np.float32] | ItemError:
        if answer.said is None:
            return ItemError(answer.status, answer.reason)
        k = len(self.classes)
        if answer.probabilities is None:
            exact = np.full(k, self.smoothing / (k - 1))
            exact[self.classes.index(answer.said)] = 1 - self.smoothing
        else:
            exact = np.array([answer.probabilities[name] for name in self.classes]) * (1 - k * LEAST) + LEAST
        logarithms: NDArray[np.float32] = np.log(exact).astype(np.float32)
        return logarithms


def expect_few_failures(model: str, questions: int, failed: Mapping[str, int], max_share: float) -> None:
    """Raises ModelError if more than that share of the questions had no usable answer."""
    count = sum(failed.values())
    if count > max_share * questions:
        raise ModelError(
            f"{model}: {count:,} of {questions:,} questions had no usable answer ({dict(sorted(failed.items()))}); "
            f"expected a share of at most {max_share:g}, train_teacher's max_failed_share; see the rejects, check the "
            "endpoint, or raise it; answers so far are kept"
        )
