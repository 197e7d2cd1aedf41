"""What the readers of image corpora return: pictures with an emotion each. Shared by FI and EmoSet."""

from dataclasses import dataclass
from pathlib import Path

from pipeline.corpora._files import Reject, none_usable


@dataclass(frozen=True)
class LabelledImage:
    """A picture file and its emotion. `id` is `<emotion>/<file name>`, unique in the corpus."""

    id: str
    path: Path
    emotion: str


@dataclass(frozen=True)
class ImageCorpus:
    """Pictures sorted by id; `len(images) + len(rejects) == rows_in`."""

    images: list[LabelledImage]
    rejects: list[Reject]
    rows_in: int
    form: str  # how the corpus lay on disk: `folders`, `agg` or `emoset`


def collect(root: Path, form: str, items: list[LabelledImage | Reject]) -> ImageCorpus:
    """The corpus of `items`: later pictures of an id become rejects (`duplicate_id`); `UserError` if none is usable."""
    images: dict[str, LabelledImage] = {}
    rejects: list[Reject] = []
    for item in items:
        if not isinstance(item, LabelledImage):
            rejects.append(item)
        elif item.id in images:
            rejects.append((item.id, "duplicate_id", "listed a second time"))
        else:
            images[item.id] = item
    if not images:
        raise none_usable(root, f"{len(items)} pictures", rejects, "nothing is listed", "check the corpus")
    return ImageCorpus([images[key] for key in sorted(images)], rejects, len(items), form)
