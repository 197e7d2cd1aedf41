from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from pipeline.stability.comparison import compare, share


def labelling(**rows: str) -> pd.DataFrame:
    """A label by id; one that begins with - is not kept."""
    return pd.DataFrame(
        {"label": [label.strip("-") for label in rows.values()], "kept": [label[0] != "-" for label in rows.values()]},
        index=list(rows),
    )


ROWS = pd.DataFrame(
    {"sentiment": ["negative"] * 4 + ["positive"] * 4, "group_id": ["1", "1", "2", "3", "4", "5", "6", "7"]},
    index=list("abcdefgh"),
)


def test_a_comparison_worked_by_hand() -> None:
    # Both keep a, b, c and e, of which c differs; d goes, f comes; g is in neither; h nobody scored.
    before = labelling(a="sad", b="sad", c="sad", d="sad", e="happy", f="-happy", g="-sad")
    after = labelling(g="-sad", f="happy", e="happy", d="-sad", c="happy", b="sad", a="sad")
    found = compare(before, after, ROWS, seed=1)
    assert (found["rows"], found["kept"]) == (7, {"before": 5, "after": 5, "both": 4})
    assert (found["dropped"], found["gained"]) == (1, 1)
    assert (found["changed"]["rows"], found["changed"]["share"]) == (1, 0.25)
    # They say the same of 3 of 4; sad, sad, sad, happy against sad, sad, happy, happy would by chance of 1/2.
    assert found["cohen_kappa"] == pytest.approx((0.75 - 0.5) / (1 - 0.5))
    # Before: sad of four negative ones, happy of the positive one. After, c is a happy negative one: phi = 2 / 3.
    assert found["validity"]["before"]["cramers_v"] == pytest.approx(1.0)
    assert found["validity"]["after"]["cramers_v"] == pytest.approx(2 / 3)
    assert (found["validity"]["after"]["rows"], found["validity"]["after"]["groups"]) == (5, 4)


def test_a_row_that_cannot_be_spoken_any_more_loses_its_label_and_one_out_of_scope_does_not_count() -> None:
    before = labelling(a="sad", b="sad", c="sad", x="sad")
    found = compare(before, labelling(a="sad", h="happy"), ROWS, seed=1)
    assert found["rows"] == 4
    assert found["kept"] == {"before": 3, "after": 2, "both": 1}
    assert (found["dropped"], found["gained"]) == (2, 1)
    assert found["cohen_kappa"] is None


def test_nothing_in_common_is_no_share() -> None:
    found = compare(labelling(a="sad"), labelling(b="sad"), ROWS, seed=1)
    assert found["changed"] == {"rows": 0, "share": None, "low": None, "high": None}
    assert found["validity"]["after"]["cramers_v"] is None


@settings(deadline=None, max_examples=30)
@given(st.lists(st.booleans(), min_size=1, max_size=60))
def test_of_rows_without_company_the_interval_is_wilsons(flags: list[bool]) -> None:
    found = share(np.array(flags), np.arange(len(flags)))
    expected = binomtest(sum(flags), len(flags)).proportion_ci(0.95, method="wilson")
    assert (found["low"], found["high"]) == pytest.approx((expected.low, expected.high), abs=1e-9)


@settings(deadline=None, max_examples=30)
@given(st.lists(st.booleans(), min_size=1, max_size=30), st.integers(2, 4))
def test_rows_that_repeat_each_other_say_no_more_than_one(flags: list[bool], times: int) -> None:
    once = share(np.array(flags), np.arange(len(flags)))
    repeated = share(np.repeat(flags, times), np.repeat(np.arange(len(flags)), times))
    assert repeated["rows"] == once["rows"] * times
    assert [repeated[name] for name in ("share", "low", "high")] == pytest.approx(
        [once[name] for name in ("share", "low", "high")]
    )


def test_groups_that_are_each_like_the_whole_make_no_interval_narrower_than_single_rows() -> None:
    mixed = share(np.array([True, False] * 10), np.repeat(np.arange(10), 2))
    expected = binomtest(10, 20).proportion_ci(0.95, method="wilson")
    assert (mixed["low"], mixed["high"]) == pytest.approx((expected.low, expected.high))
