"""What the outputs of a classifier are, by its configuration: a softmax fits logits of exclusive classes only.

exclusive     one logit for each class, of which one is right
independent   one logit for each label, of which any number may be right
regression    one number for each dimension (arousal, dominance, valence)
"""

import re
from collections.abc import Sequence
from typing import Any, Literal

from models.errors import ModelError

Head = Literal["exclusive", "independent", "regression"]
PROBLEMS: dict[str, Head] = {
    "single_label_classification": "exclusive", "multi_label_classification": "independent", "regression": "regression",
}  # fmt: skip
PROBLEM_OF = {head: problem for problem, head in PROBLEMS.items()}
DIMENSIONS = frozenset({"arousal", "activation", "dominance", "valence", "pleasure"})
UNNAMED = re.compile(r"LABEL_\d+")


def labels_of(config: Any, source: str = "the network") -> tuple[str, ...]:
    """Names of a network's outputs, in their order; ModelError if its configuration does not number them from 0."""
    names = config.id2label
    if not names or set(names) != set(range(len(names))):
        raise ModelError(f"{source}: id2label of its config.json numbers {sorted(names)}; expected 0 to n")
    return tuple(str(names[number]) for number in range(len(names)))


def name_outputs(config: Any, source: str, given: Sequence[str] | None) -> None:
    """Put names into a configuration that has none; ModelError if it has some, or there are none to put in."""
    labels = labels_of(config, source)
    unnamed = any(UNNAMED.fullmatch(label) for label in labels)
    if given is None:
        if unnamed:
            raise ModelError(
                f"{source}: its {len(labels)} outputs have no names (LABEL_0 ...); name them in their order, as its "
                "makers say: label_names: [..]"
            )
        return
    if not unnamed:
        raise ModelError(f"{source}: its outputs have names ({', '.join(labels)}); leave out label_names")
    if len(given) != len(labels) or len(set(given)) != len(given):
        raise ModelError(f"{source}: label_names names {len(set(given))} outputs, of which it has {len(labels)}")
    config.id2label = dict(enumerate(given))
    config.label2id = {name: number for number, name in enumerate(given)}
    if hasattr(config, "label_names"):  # the second place of timm's
        config.label_names = list(given)


def head_of(config: Any, source: str, given: Head | None, *, named_here: bool) -> Head:
    """What the outputs are, as a configuration or, where it is silent, the user says.

    A configuration that says nothing but names its classes is of exclusive ones, as the library takes it; where the
    names too are the user's (`named_here`), nothing speaks for that, and the user has to say it.

    Raises:
        ModelError: nobody says it, or both say different things.
    """
    told = _told(config, source)
    if told and given and told != given:
        raise ModelError(f"{source}: head = {given}, but by its config.json the head is {told}; leave it out")
    found = told or given
    if found is None and named_here:
        raise ModelError(
            f"{source}: its config.json says neither what its outputs are nor their names; say it as its makers do: "
            "head: exclusive | independent | regression"
        )
    return found or "exclusive"


def _told(config: Any, source: str) -> Head | None:
    labels, problem = labels_of(config, source), config.problem_type
    if problem is not None:
        if problem not in list(PROBLEMS):
            raise ModelError(f"{source}: problem_type of its config.json is {problem}; expected {', '.join(PROBLEMS)}")
        return PROBLEMS[problem]
    architectures = str(config.architectures)
    if "MultiLabel" in architectures:
        return "independent"
    if len(labels) == 1 or DIMENSIONS.issuperset(label.lower() for label in labels) or "Regression" in architectures:
        return "regression"
    return None
