"""How many of everything a corpus has, beside what is known of the published one."""

from collections.abc import Mapping


def compare_counts(corpus: str, counts: Mapping[str, int], known: Mapping[str, int], unit: str = "") -> list[str]:
    """One line per name in `known` whose count is another; means something only where all of a corpus is there."""
    of_them = f" {unit}" if unit else ""
    return [
        f"{corpus} {name}: {counts.get(name, 0):,}{of_them}, the published corpus has {number:,}"
        for name, number in known.items()
        if counts.get(name, 0) != number
    ]
