"""Who may load what is published: the Hub's access requests, and the words in which they are made.

With `manual` the publisher answers each request, with `auto` whoever agrees is let in at once; see
huggingface.co/docs/hub/datasets-gated. The words stand in the card's header, as `extra_gated_*`.
"""

from typing import Any, Literal, get_args

from pipeline.dataset.sources import Provenance

Gate = Literal["manual", "auto", "none"]
GATES: tuple[Gate, ...] = get_args(Gate)
# By what is published: speech can be made of spectrograms, roughly, and then says what the text said.
DEFAULTS: dict[str, Gate] = {"full": "manual", "features": "manual"}


def default_of(what: str) -> Gate:
    """Of a mode of the dataset or a network, where nothing else is asked for."""
    return DEFAULTS.get(what, "none")


def header(gate: Gate, provenance: Provenance) -> dict[str, Any]:
    """What the card's header says to who asks for access; nothing where nobody has to."""
    if gate == "none":
        return {}
    whose = "posts of people who were not asked" if provenance.holds_posts else "texts and pictures of others"
    texts = provenance.corpora["b_t4sa"]
    return {
        "extra_gated_heading": "Ask for access to this repository",
        "extra_gated_prompt": (
            f"What lies here derives from {whose} ({texts.name}: {texts.terms}). You agree to use it for research "
            "only, not to identify, contact or judge anybody by it, not to pass it on, and to delete rows that are "
            "taken out of this repository. The terms of all that it was made with are in the card, under Licences."
        ),
        "extra_gated_fields": {
            "Name": "text",
            "Affiliation": "text",
            "Country": "country",
            "What it will be used for": "text",
            f"I may use {texts.name} by its own terms": "checkbox",
            "I agree to the terms above": "checkbox",
        },
        "extra_gated_button_content": "Ask for access",
    }
