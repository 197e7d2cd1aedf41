"""A ready classifier of the transformers library: utterances, texts or pictures in, logits for its own labels out.

In   waveforms float32 [samples] at 16 kHz, texts as heard, or RGB pictures
Out  its outputs float32 [n, labels], columns in the order of `labels`: logits, or dimensions (`heads`)
"""

import hashlib
import json
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import NDArray

from models.errors import ItemError
from models.teachers.heads import PROBLEMS, Head, labels_of
from models.teachers.pretrained import NOTHING, SAMPLING_RATE_HZ, Modality, Outputs, describe, load_classifier
from models.teachers.words_encoder import expect_words

TOKENS_MAX = 512  # of a text; a tweet has less than 150


def features(preprocessor: Any, modality: Modality, items: Sequence[Any]) -> Any:
    """What the network takes, for waveforms or pictures: a BatchFeature of tensors."""
    if modality == "image":
        return preprocessor(list(items), return_tensors="pt")
    if modality == "words":
        longest = min(preprocessor.model_max_length, TOKENS_MAX)
        return preprocessor(list(items), padding=True, truncation=True, max_length=longest, return_tensors="pt")
    padding = {} if hasattr(preprocessor, "nb_max_frames") else {"padding": True}
    return preprocessor(list(items), sampling_rate=SAMPLING_RATE_HZ, return_tensors="pt", **padding)


def digest_of(network: Any, preprocessor: Any) -> str:
    """sha256 over labels, preprocessing and every weight, hex."""
    tokens = getattr(preprocessor, "get_vocab", None)
    preprocessing = tokens() if tokens else json.loads(preprocessor.to_json_string())
    digest = hashlib.sha256(json.dumps([labels_of(network.config), preprocessing], sort_keys=True).encode())
    for name, tensor in sorted(network.state_dict().items()):
        value = tensor.detach().cpu().contiguous().reshape(-1).view(torch.uint8)
        digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode() + value.numpy().tobytes())
    return digest.hexdigest()


class ReadyNetwork:
    """A classifier and its preprocessor, from a local folder or by the name of a Hub repository."""

    def __init__(
        self,
        network: Any,
        preprocessor: Any,
        modality: Modality,
        *,
        commit: str | None = None,
        device: str = "cpu",
        batch_size: int = 16,
    ) -> None:
        self.network, self.preprocessor = network, preprocessor
        self.labels = labels_of(network.config)  # in the order of its outputs
        self.head: Head = PROBLEMS[network.config.problem_type]
        self.commit = commit  # of the Hub, from which it came; null if it lay in a folder
        self.modality, self.device, self.batch_size = modality, device, batch_size
        self.network.eval().to(device)
        self.forward = self.network
        self.digest = digest_of(network, preprocessor)

    @classmethod
    def load(
        cls,
        source: str,
        modality: Modality,
        *,
        revision: str | None = None,
        said: Outputs = NOTHING,
        device: str = "cpu",
        batch_size: int = 16,
        threads: int = 1,
        compiled: bool = False,
    ) -> Self:
        """From a folder or the name of a repository on the Hub, at a revision of it; `said` of its outputs.

        The last bits of logits depend on the CPU's threads, which are set for the whole process: the default is the
        same on every machine. They also change if torch compiles the network.

        Raises:
            ModelError: it is not there, has no weights that may be read, does not fit the modality, wants another
                sampling rate, or nobody says what its outputs are.
        """
        torch.set_num_threads(threads)
        described = describe(source, modality, revision, said)
        network, preprocessor = load_classifier(described, modality)
        commit = described.repository.commit
        ready = cls(network, preprocessor, modality, commit=commit, device=device, batch_size=batch_size)
        if compiled:
            ready.forward = torch.compile(network, dynamic=True)
        return ready

    def check(self, item: Any) -> None:
        """Raises ItemError if an utterance is too short to give one frame, or a text has no word."""
        if self.modality == "speech":
            self.check_samples(len(item))
        elif self.modality == "words":
            expect_words(item)

    def check_samples(self, samples: int) -> None:
        """Raises ItemError if an utterance of so many samples is too short to give one frame."""
        lengths = getattr(self.network, "_get_feat_extract_output_lengths", None)
        if self.modality == "speech" and lengths is not None and int(lengths(samples)) < 1:
            raise ItemError("audio_too_short", f"{samples} samples give the teacher no frame")

    def logits(self, items: Sequence[Any]) -> NDArray[np.float32]:
        """Logits float32 [n, labels], in the order of the items, whatever the size of batches (within rounding)."""
        logits = np.empty((len(items), len(self.labels)), dtype=np.float32)
        for rows in self._batches(items):
            logits[rows] = self._forward([items[row] for row in rows])
        return logits

    def save(self, folder: Path) -> None:
        """Write network (safetensors) and preprocessor into `folder`."""
        self.network.save_pretrained(folder)
        self.preprocessor.save_pretrained(folder)

    def _batches(self, items: Sequence[Any]) -> Iterator[list[int]]:
        """Row numbers of each batch: by length, so that little is padded."""
        lengths = [0 if self.modality == "image" else len(item) for item in items]
        batch: list[int] = []
        for row in sorted(range(len(items)), key=lengths.__getitem__):
            # A network that knows no mask would hear the padding.
            other = batch and not self._masks and lengths[row] != lengths[batch[0]]
            if other or len(batch) == self.batch_size:
                yield batch
                batch = []
            batch.append(row)
        if batch:
            yield batch

    @property
    def _masks(self) -> bool:
        # Features of fixed length (Whisper: 30 s) are the same whatever is beside them.
        fixed = getattr(self.preprocessor, "nb_max_frames", None) is not None
        return self.modality == "words" or fixed or bool(getattr(self.preprocessor, "return_attention_mask", False))

    @torch.inference_mode()
    def _forward(self, items: Sequence[Any]) -> NDArray[np.float32]:
        inputs = features(self.preprocessor, self.modality, items).to(self.device)
        autocast = torch.autocast(self.device, dtype=torch.bfloat16, enabled=self.device == "cuda")
        with warnings.catch_warnings(), autocast:
            warnings.simplefilter("ignore", UserWarning)  # of what the networks' own code does
            logits: NDArray[np.float32] = self.forward(**inputs).logits.float().cpu().numpy()
        return logits
