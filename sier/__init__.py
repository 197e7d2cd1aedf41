"""What the commands do, for Python; `docs/reference/python-api.md` has an example of each name.

`predict`       what a network makes of a picture, a recording, or both
`explain`       what in them its answer rests on, with a picture of that
`load_network`  a network that is asked more than once
`load_dataset`  a finished dataset, from a folder or the Hub, whose audio stays a file
`label_rows`    labels by the paper's rule, or another, of two teachers' probabilities
`read_corpus`   the rows of a corpus in any format that the pipeline reads
`shapley`       estimators for games of any kind

Whatever cannot be used raises UserError (a file, a row, a parameter) or ModelError (a network's weights or packages),
in one line. A name is imported when it is first asked for, so that `import sier` costs nothing.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from models import shapley as shapley
    from models.errors import ModelError as ModelError
    from pipeline.commands.explain import Explanation as Explanation
    from pipeline.commands.explain import explain_pair as explain
    from pipeline.commands.given_files import open_network as load_network
    from pipeline.commands.predict import Answer as Answer
    from pipeline.commands.predict import predict as predict
    from pipeline.errors import UserError as UserError
    from sier.corpora import Corpus as Corpus
    from sier.corpora import read_corpus as read_corpus
    from sier.dataset import load_dataset as load_dataset
    from sier.labelling import label_rows as label_rows

# Where each name lies; of `shapley`, the package itself.
_PLACES = {
    "Answer": "pipeline.commands.predict:Answer",
    "Corpus": "sier.corpora:Corpus",
    "Explanation": "pipeline.commands.explain:Explanation",
    "ModelError": "models.errors:ModelError",
    "UserError": "pipeline.errors:UserError",
    "explain": "pipeline.commands.explain:explain_pair",
    "label_rows": "sier.labelling:label_rows",
    "load_dataset": "sier.dataset:load_dataset",
    "load_network": "pipeline.commands.given_files:open_network",
    "predict": "pipeline.commands.predict:predict",
    "read_corpus": "sier.corpora:read_corpus",
    "shapley": "models.shapley",
}

__all__ = [
    "Answer", "Corpus", "Explanation", "ModelError", "UserError", "explain", "label_rows", "load_dataset",
    "load_network", "predict", "read_corpus", "shapley",
]  # fmt: skip


def __getattr__(name: str) -> Any:
    if name not in _PLACES:
        raise AttributeError(f"module 'sier' has no attribute {name!r}; it has {', '.join(__all__)}")
    module, _, inner = _PLACES[name].partition(":")
    found: Any = import_module(module)
    found = getattr(found, inner) if inner else found
    globals()[name] = found
    return found


def __dir__() -> list[str]:
    return [*globals(), *__all__]
