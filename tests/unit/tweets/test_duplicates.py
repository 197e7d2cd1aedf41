from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import UserError
from pipeline.tweets import duplicates
from pipeline.tweets.duplicates import DECISIONS, DuplicateParams, decide, grouping_file, hash_matrix, read_grouping

PARAMS = DuplicateParams(placeholder_min_tweets=4, near_duplicate_max_bits=10, group_max_bits=20, text_similarity=0.8)
FAR = "5" * 64  # 128 bits from both 00... and ff...


def phash(*bits: int, base: str = "0" * 64) -> str:
    """A 256-bit hash in hex with these bits of `base` flipped."""
    number = int(base, 16)
    for bit in bits:
        number ^= 1 << bit
    return f"{number:064x}"


def first(count: int, start: int = 0) -> str:
    return phash(*range(start, start + count))


Row = tuple[str, str, str, str]  # tweet, text, picture, hash


def decided(*rows: Row, params: DuplicateParams = PARAMS) -> list[tuple[str, str, str]]:
    """(group, status, reason) per row; ids are <tweet>-<row>, so that they are easy to tell."""
    table = pa.table(
        {
            "id": [f"{row[0]}-{number}" for number, row in enumerate(rows)],
            "tweet_id": [row[0] for row in rows],
            "text": [row[1] for row in rows],
            "image_sha256": [row[2] for row in rows],
            "image_phash": [row[3] for row in rows],
        }
    )
    found = decide(table, params, seed=1)
    assert found.schema == DECISIONS
    assert found["id"].to_pylist() == table["id"].to_pylist()
    return [(row["group_id"], row["status"], row["reason"]) for row in found.to_pylist()]


def test_rows_that_have_nothing_in_common_stay_in_groups_of_their_own() -> None:
    found = decided(("a", "good day", "p", FAR), ("b", "bad night", "q", first(0)), ("c", "so happy", "r", first(100)))
    assert found == [("a-0", "", ""), ("b-1", "", ""), ("c-2", "", "")]


def test_no_rows_give_no_decisions() -> None:
    assert decided() == []


def test_the_same_picture_with_other_words_is_an_image_duplicate_of_the_first_row() -> None:
    found = decided(("a", "good day", "p", FAR), ("b", "bad night", "p", FAR), ("c", "so so", "p", FAR))
    assert found == [
        ("a-0", "", ""),
        ("a-0", "image_duplicate", "same picture as a-0"),
        ("a-0", "image_duplicate", "same picture as a-0"),
    ]


def test_the_same_picture_with_the_same_words_is_a_pair_duplicate_however_written() -> None:
    found = decided(("a", "Good day!", "p", FAR), ("b", "RT @one: good DAY https://t.co/x1", "p", FAR))
    assert found == [("a-0", "", ""), ("a-0", "pair_duplicate", "same picture and same words as a-0")]


@pytest.mark.parametrize(
    ("bits", "group", "status", "reason"),
    [
        (0, "a-0", "image_near_duplicate", "nearly the same picture as a-0"),
        (10, "a-0", "image_near_duplicate", "nearly the same picture as a-0"),
        (11, "a-0", "", ""),
        (20, "a-0", "", ""),
        (21, "b-1", "", ""),
    ],
)
def test_near_pictures_are_dropped_up_to_one_limit_and_grouped_up_to_the_other(
    bits: int, group: str, status: str, reason: str
) -> None:
    assert decided(("a", "good day", "p", first(0)), ("b", "bad night", "q", first(bits))) == [
        ("a-0", "", ""),
        (group, status, reason),
    ]


def test_limits_may_stand_the_other_way_round() -> None:
    params = replace(PARAMS, near_duplicate_max_bits=20, group_max_bits=10)
    found = decided(("a", "good day", "p", first(0)), ("b", "bad night", "q", first(15)), params=params)
    assert [status for _, status, _ in found] == ["", "image_near_duplicate"]


def test_in_a_chain_of_near_pictures_the_far_end_stays() -> None:
    # a and b are 8 bits apart, b and c too, a and c 16: only b is nearly the same as a kept picture.
    found = decided(("a", "one", "p", first(0)), ("b", "two", "q", first(8)), ("c", "three", "r", first(16)))
    assert found == [
        ("a-0", "", ""),
        ("a-0", "image_near_duplicate", "nearly the same picture as a-0"),
        ("a-0", "", ""),
    ]


def test_a_near_duplicate_is_named_after_a_row_that_stays() -> None:
    # b is an exact duplicate of a, so c must be called near a.
    found = decided(("a", "one", "p", first(0)), ("b", "two", "p", first(0)), ("c", "three", "q", first(5)))
    assert [(status, reason) for _, status, reason in found] == [
        ("", ""),
        ("image_duplicate", "same picture as a-0"),
        ("image_near_duplicate", "nearly the same picture as a-0"),
    ]


def placeholder_rows(tweets: int) -> list[Row]:
    return [(f"t{number}", f"word{number} other{number}", "grey", FAR) for number in range(tweets)]


def test_a_picture_under_many_tweets_is_a_placeholder_and_ties_nobody_together() -> None:
    assert decided(*placeholder_rows(4)) == [
        (f"t{number}-{number}", "image_placeholder", "the same picture stands under 4 tweets") for number in range(4)
    ]


def test_one_tweet_fewer_is_a_duplicate_only() -> None:
    assert [status for _, status, _ in decided(*placeholder_rows(3))] == ["", "image_duplicate", "image_duplicate"]


def test_a_picture_many_times_under_one_tweet_is_no_placeholder() -> None:
    rows: list[Row] = [("a", "good day", "p", FAR)] * 6
    assert [status for _, status, _ in decided(*rows)] == ["", *["pair_duplicate"] * 5]


def test_a_copy_of_a_placeholder_goes_too_and_is_grouped_with_none_of_its_rows() -> None:
    found = decided(*placeholder_rows(4), ("z", "my own picture", "grey2", phash(0, 1, 2, base=FAR)))
    assert found[4] == ("z-4", "image_placeholder", "a copy of the placeholder picture of t0-0")


def test_a_picture_that_only_resembles_a_placeholder_stays_alone() -> None:
    found = decided(*placeholder_rows(4), ("z", "my own picture", "grey2", phash(*range(15), base=FAR)))
    assert found[4] == ("z-4", "", "")


def test_groups_join_by_tweet_by_words_and_by_picture_across_each_other() -> None:
    words = "one two three four five six seven eight"
    found = decided(
        ("a", "first of all", "p", first(0)),  # same tweet as the next
        ("a", "first of all", "q", first(60)),
        ("b", words + " nine", "r", first(75)),  # a picture 15 bits from the former
        ("c", words + " ten", "s", first(120)),  # 8 of 10 words of the former
        ("d", "rt something else", "t", FAR),
    )
    assert [group for group, _, _ in found] == ["a-0", "a-0", "a-0", "a-0", "d-4"]
    assert [status for _, status, _ in found] == [""] * 5


def test_words_below_the_similarity_do_not_join() -> None:
    words = "one two three four five"  # shared with four others
    found = decided(("a", f"seven {words} eight", "p", FAR), ("b", f"nine {words} ten", "q", first(0)))
    assert [group for group, _, _ in found] == ["a-0", "b-1"]


def test_texts_of_a_template_join_below_the_similarity() -> None:
    found = decided(
        ("a", "Why are you feeling sad? Take the quiz", "p", FAR),
        ("b", "Why are you feeling all alone? Take the quiz https://t.co/a", "q", first(0)),
        ("c", "Why are they feeling sad? Do it", "r", first(60)),
    )
    assert [group for group, _, _ in found] == ["a-0", "a-0", "c-2"]


def test_retweets_join_by_their_words_whatever_else_they_say() -> None:
    found = decided(
        ("a", "What a good day", "p", FAR),
        ("b", "RT @a: what a good day! https://t.co/abc", "q", first(0)),
    )
    assert [group for group, _, _ in found] == ["a-0", "a-0"]


def test_empty_texts_do_not_join() -> None:
    found = decided(("a", "https://t.co/abc", "p", FAR), ("b", "@someone", "q", first(0)))
    assert [group for group, _, _ in found] == ["a-0", "b-1"]


def test_hashes_become_bytes() -> None:
    assert hash_matrix([]).shape == (0, 32)
    found = hash_matrix(["00" * 31 + "ff", "0a" + "00" * 31])
    assert found.shape == (2, 32)
    assert (found[0, 31], found[1, 0]) == (255, 10)


PICTURES = st.sampled_from(["p", "q", "r", "s"])
ROWS = st.lists(
    st.tuples(st.sampled_from("abcdefgh"), st.sampled_from(["one two", "three four", "five"]), PICTURES), max_size=14
)


@settings(deadline=None, max_examples=40)
@given(ROWS, st.lists(st.integers(0, 40), min_size=4, max_size=4))
def test_what_stays_is_unique_and_what_goes_is_tied_to_what_stays(
    rows: list[tuple[str, str, str]], bits: list[int]
) -> None:
    hash_of = {picture: first(count) for picture, count in zip("pqrs", bits, strict=True)}
    full: list[Row] = [(tweet, text, picture, hash_of[picture]) for tweet, text, picture in rows]
    found = decided(*full)
    kept = [number for number, (_, status, _) in enumerate(found) if not status]
    pictures = [full[number][2] for number in kept]
    assert len(set(pictures)) == len(pictures)
    for one in kept:
        for other in kept:
            distance = (int(full[one][3], 16) ^ int(full[other][3], 16)).bit_count()
            assert one == other or distance > PARAMS.near_duplicate_max_bits
            if distance <= PARAMS.group_max_bits or full[one][0] == full[other][0] or full[one][1] == full[other][1]:
                assert found[one][0] == found[other][0]
    for number, (_, status, reason) in enumerate(found):
        assert bool(status) == bool(reason)
        if status in {"image_duplicate", "pair_duplicate", "image_near_duplicate"}:
            cause = int(reason.rpartition("-")[2])
            assert cause < number
            assert found[cause][0] == found[number][0]
            assert status != "image_near_duplicate" or found[cause][1] == ""
    assert decided(*full) == found


def test_what_the_groups_promise_is_written_and_read(tmp_path: Path) -> None:
    path = tmp_path / duplicates.GROUPING_FILE
    path.write_bytes(grouping_file(PARAMS))
    assert read_grouping(path) == duplicates.Grouping(group_max_bits=20, text_similarity=0.8)


@pytest.mark.parametrize(
    "text", ["", "{", "[]", "{}", '{"group_max_bits": "20", "text_similarity": 0.8}', '{"group_max_bits": 20}', "3"]
)
def test_a_missing_or_damaged_promise_names_the_stage_to_run(tmp_path: Path, text: str) -> None:
    path = tmp_path / "grouping.json"
    with pytest.raises(UserError, match="missing or damaged; run: dvc repro clean --force"):
        read_grouping(path)
    path.write_text(text)
    with pytest.raises(UserError) as caught:
        read_grouping(path)
    assert str(caught.value) == f"{path}: missing or damaged; run: dvc repro clean --force"
