"""In words: do the pseudo-labels go with anything but the recording? Page, summary and cards say it first."""

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.labels import rules

CONFOUNDS = {
    "duration": "the recording's duration", "loudness": "the recording's loudness", "voice": "the voice",
    "characters": "the length of the text", "punctuation": "the text's punctuation",
}  # fmt: skip
NOT_MEASURED = "not measured (one class or one group only)"
NO_SENTIMENT = "not measured (no text has one)"
P_MOST = 0.01  # beyond which an association is taken for chance's doing
BY_CONSTRUCTION = "By construction: the sample's texts and pictures were authored by sentiment"
TEXT_AGAINST_TEXT = (
    "B-T4SA's sentiment was itself made by a model of the text: this is text against text, and only people can judge "
    "the labels (sier rate)"
)
ITS_OWN = "The sentiment is what the table of pairs says of each text; only people can judge the labels (sier rate)"
WITHOUT_SENTIMENT = "The pairs came without a sentiment: only people can judge the labels (sier rate)"


def stands_out(association: Mapping[str, Any]) -> bool:
    """Whether two things go together more than chance lets them; not where that was not measured."""
    v, chance, p = (association[name] for name in ("cramers_v", "by_chance", "p_value"))
    return v is not None and bool(v > chance and p <= P_MOST)


def figures(association: Mapping[str, Any]) -> str:
    """V, never without what chance gives."""
    if association["cramers_v"] is None:
        return NO_SENTIMENT if association.get("rows") == 0 else NOT_MEASURED
    v, chance, p = (association[name] for name in ("cramers_v", "by_chance", "p_value"))
    return f"V {v:.2f}, by chance {chance:.2f}, p {p:.3f}"


def verdict(validity: Mapping[str, Any], confounds: Sequence[Mapping[str, Any]], *, is_sample: bool) -> dict[str, Any]:
    """`holds`: labels go with the sentiment, and with no confound more. `words`, which begin with "labels", say it."""
    goes = stands_out(validity)
    words = f"labels {'go' if goes else 'do not go'} with the texts' sentiment: {figures(validity)}"
    if validity["cramers_v"] is None:
        words = f"labels and the texts' sentiment: {figures(validity)}"
    if goes and is_sample:
        words += " (by construction)"
    rivals = [one for one in confounds if one["of"] == "labels" and stands_out(one)]
    strongest = max(rivals, key=lambda one: one["corrected_v"], default=None)
    outdone = strongest is not None and strongest["corrected_v"] > (validity["corrected_v"] or 0)
    if strongest and (outdone or not goes):
        words += f"; they go {'more ' * goes}with {CONFOUNDS[strongest['confound']]}: {figures(strongest)}"
    elif not goes:
        words += "; nor do they go with anything else that was measured"
    return {"holds": goes and not outdone, "words": words}


def agreement(measured: Mapping[str, Any]) -> str:
    """How often both teachers say the same, never without what chance gives."""
    kappa = measured["cohen_kappa"]
    shown = "not defined" if kappa is None else f"{kappa:.2f}"
    return f"{measured['share']:.0%}, by chance {measured['by_chance']:.0%}, Cohen's kappa {shown}"


def alone(
    decided_by: Mapping[str, Mapping[str, int]], named: Mapping[str, Mapping[str, int]], scored: int
) -> list[str]:
    """A sentence for each label whose kept rows one modality has decided, all of them.

    Of each label, `decided_by` has the kept rows by the modality that decided, `named` the rows, of all that were
    `scored`, by the modality whose teacher names it.
    """
    lines = []
    for label, rows in decided_by.items():
        deciding = [modality for modality, count in rows.items() if count]
        if len(deciding) == 1:
            (other,) = set(rows) - set(deciding)
            by = {"speech": "speech", "image": "pictures"}[deciding[0]]
            lines.append(
                f"{label}: decided by {by} alone, all {rows[deciding[0]]:,} rows; the {other} teacher names it in "
                f"{named[label][other]:,} of {scored:,}"
            )
    return lines


def first_lines(metrics: Mapping[str, Any]) -> list[str]:
    """What of reports/label.json is said before anything else: verdict, a modality that decides most, what it means."""
    share = metrics["share_decided_by_speech"]
    name = rules.dominant_modality(share)
    lines = [("" if metrics["verdict"]["holds"] else "WARNING: ") + metrics["verdict"]["words"]]
    if name:
        lines.append(f"WARNING: one modality decides: {name}, {max(share, 1 - share):.0%} of the kept rows")
    return [*lines, metrics["validity"]["note"]]
