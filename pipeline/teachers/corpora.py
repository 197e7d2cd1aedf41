"""The teachers' corpora behind one shape: items with a label, and for speech a speaker and a session."""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.corpora import fi, iemocap
from pipeline.corpora.further import labelled
from pipeline.corpora.further._labelled import sessions
from pipeline.errors import RowError, UserError
from pipeline.frame import acquired
from pipeline.media import audio, images

# Pictures of the corpus are checked against bombs only; small ones are as good as others for a teacher.
MIN_SIDE_PX = 16
MAX_PIXELS = 100_000_000
PLACEHOLDER_MIN_IMAGES = 3


@dataclass(frozen=True)
class Item:
    """An utterance or a picture. Pictures have no speaker; those of one session, if they have one, belong together."""

    id: str
    path: Path
    label: str
    speaker: str = ""
    session: str = ""


@dataclass(frozen=True)
class Corpus:
    """Items and rejects of a corpus; `rows_in` = items + rejects. `labels`: all labels of its format."""

    items: list[Item]
    rejects: list[tuple[str, str, str]]
    rows_in: int
    labels: tuple[str, ...]
    warnings: tuple[str, ...] = ()


def read(name: str, folder: Path) -> Corpus:
    """The corpus `iemocap` or `fi` in `data/corpora/<name>`, in its format; raises UserError as the readers do."""
    origin, form = acquired.read_manifest(folder)["origin"], acquired.read_format(folder)
    root = folder / acquired.FILES
    if form in labelled.READERS:
        return _further(form, root, is_speech=name == "iemocap")
    if name == "iemocap":
        speech = iemocap.read(root)
        items = [
            Item(utterance.id, utterance.path, utterance.emotion, utterance.speaker, str(utterance.session))
            for utterance in speech.utterances
        ]
        counts = Counter(item.label for item in items)
        warnings = tuple(iemocap.compare_counts(counts)) if origin == acquired.LOCAL_COPY else ()
        return Corpus(items, list(speech.rejects), speech.rows_in, iemocap.EMOTIONS, warnings)
    pictures = fi.read(root)
    items = [Item(picture.id, picture.path, picture.emotion) for picture in pictures.images]
    return Corpus(items, list(pictures.rejects), pictures.rows_in, fi.EMOTIONS)


def _further(form: str, root: Path, *, is_speech: bool) -> Corpus:
    found = labelled.READERS[form](root)
    session_of = sessions(found.files) if is_speech else {}
    if is_speech and len(session_of) < 2:
        only = next(iter(session_of))
        raise UserError(f"{root}: all recordings are of the speaker {only}; expected two speakers or more, to hold out")
    items = [
        Item(file.id, file.path, file.label, file.speaker, session_of.get(file.speaker, file.group))
        for file in found.files
    ]
    return Corpus(items, list(found.rejects), found.rows_in, found.labels, tuple(labelled.differences(form, found)))


def _decode_utterance(path: Path) -> tuple[Any, str]:
    """Waveform (see `pipeline.media.audio`) and sha256 of its samples."""
    if path.suffix.lower() == ".mp4":
        from pipeline.media import soundtrack  # noqa: PLC0415 - MELD's films only

        waveform = soundtrack.decode(path)
    else:
        waveform = audio.decode(path)
    return waveform, hashlib.sha256(waveform.tobytes()).hexdigest()


def _decode_picture(path: Path) -> tuple[Any, str]:
    """RGB picture and sha256 of its pixels."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise RowError("image_unreadable", str(error.strerror)) from None
    image = images.decode_image(data, min_side_px=MIN_SIDE_PX, max_pixels=MAX_PIXELS)
    return image, images.pixel_sha256(image)


# Each raises RowError for what it cannot decode.
DECODE: dict[str, Callable[[Path], tuple[Any, str]]] = {"speech": _decode_utterance, "image": _decode_picture}


def repeated_pictures(sha256_of: Mapping[str, str], label_of: Mapping[str, str]) -> list[tuple[str, str, str]]:
    """Rejects for pictures that stand under several ids.

    A picture under three or more ids, or under two labels, is the placeholder of dead links or teaches nothing: all its
    ids go. A picture twice under one label would stand on both sides of a split: the first id stays.
    """
    ids_of: defaultdict[str, list[str]] = defaultdict(list)
    for identity in sorted(sha256_of):
        ids_of[sha256_of[identity]].append(identity)
    rejects = []
    for ids in ids_of.values():
        if len(ids) >= PLACEHOLDER_MIN_IMAGES:
            reason = f"the same picture stands under {len(ids)} names"
            rejects += [(identity, "image_placeholder", reason) for identity in ids]
        elif len({label_of[identity] for identity in ids}) > 1:
            reason = f"same picture as {' and '.join(ids)}"
            rejects += [(identity, "image_conflicting_labels", reason) for identity in ids]
        else:
            rejects += [(identity, "image_duplicate", f"same picture as {ids[0]}") for identity in ids[1:]]
    return rejects
