"""What a visitor sees of an answer and of an explanation, as HTML. Media stand in the page itself."""

import html
from collections.abc import Mapping

from pipeline.demo.studio import Answer, Labelled
from pipeline.explanation.figure import png
from pipeline.explanation.figure_content import FigureContent
from pipeline.labels import rules
from pipeline.media.data_uri import data_uri

NAMES = {"speech": "Speech teacher", "image": "Image teacher"}
REASONS = {
    rules.BELOW_THRESHOLD: "neither teacher is sure enough: {confidence:.0%}, where {threshold:.0%} is asked for",
    rules.DISAGREE: "the teachers disagree",
    rules.AGREE: "the teachers agree, and the rule keeps those rows where they do not",
    rules.NEUTRAL: "the class that wins is neutral",
}


def problem(message: str) -> str:
    """Why there is no answer."""
    return f'<p class="demo-problem" role="alert">{html.escape(message)}</p>'


def answer(said: Answer) -> str:
    """The speech, the label, and bars for both teachers and the network."""
    given = said.given
    spoken = f"The voice says: “{given.said}”" if given.said is not None else "Your recording"
    heard = f"The recogniser hears: {f'“{said.heard}”' if said.heard else 'nothing'}"
    source = data_uri("audio/flac", given.speech)
    parts = [
        '<section class="demo-answer">',
        _label(said.labelled),
        f"<p>{html.escape(spoken)}</p>",
        f'<audio controls aria-label="The speech" src="{source}"></audio>',
        f"<p>{html.escape(heard)}</p>",
        '<div class="demo-bars">',
        *(_bars(NAMES[name], probabilities) for name, probabilities in said.teachers.items()),
        _bars(f"Network {said.network_name}", said.network),
        "</div>",
        *(f'<p class="demo-note">{html.escape(note)}</p>' for note in said.notes),
        "</section>",
    ]
    return "".join(parts)


def explanation(content: FigureContent) -> str:
    """The figure of `sier explain`, and its figures in words."""
    values = ", ".join(f"{name} {value:+.2f}" for name, value in content.modality_values.items())
    words = f"Parts of the {content.output} of “{content.explained}”: {values}"
    if content.synergy is not None:
        words += f"; of which only together {content.synergy:+.2f}"
    described = f"What the answer {content.predicted} rests on. {words}."
    return (
        f'<figure class="demo-explanation"><figcaption>{html.escape(described)}</figcaption>'
        f'<div tabindex="0" role="group" aria-label="The figure">'
        f'<img alt="{html.escape(described)}" src="{data_uri("image/png", png(content))}"></div></figure>'
    )


def _label(labelled: Labelled) -> str:
    decider = NAMES[labelled.decided_by].lower()
    if labelled.label is None:
        why = REASONS[labelled.reason].format(confidence=labelled.confidence, threshold=labelled.threshold)
        title, text = "No label", f"A row like this is left out: {why}. The {decider} would say {labelled.would_be}."
    else:
        more = "weighs more" if labelled.rule == "log_pool" else "decides"
        title = labelled.label
        text = f"The label by the rule {labelled.rule}: the {decider} {more}, with {labelled.confidence:.0%}."
    return f'<h2 class="demo-label" aria-live="polite">{html.escape(title)}</h2><p>{html.escape(text)}</p>'


def _bars(title: str, probabilities: Mapping[str, float]) -> str:
    best = max(probabilities, key=lambda name: probabilities[name])
    rows = "".join(
        f'<tr{" class=demo-best" if name == best else ""}><th scope="row">{html.escape(name)}</th>'
        f'<td aria-hidden="true"><div style="width:{100 * share:.1f}%"></div></td><td>{share:.0%}</td></tr>'
        for name, share in probabilities.items()
    )
    return f"<table><caption>{html.escape(title)}</caption><tbody>{rows}</tbody></table>"
