"""What would be lost of a copy, silently, is an error at `acquire`."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from pipeline.corpora import b_t4sa, counts
from pipeline.corpora.counts import Count
from pipeline.errors import UserError
from tests.builders import Tweet, build_b_t4sa, build_fi, build_iemocap, jpeg, plain_tweets


def count(corpus: str, root: Path) -> Count:
    return counts.count(corpus, root, b_t4sa.index_images(b_t4sa.images(root)) if corpus == "b_t4sa" else None)


def losses(lost: int, status: str = "wav_missing", rows_in: int = 100) -> Count:
    return Count({}, [], [(f"id{number}", status, "no file") for number in range(lost)], rows_in)


def test_one_reason_may_cost_the_given_share_and_no_more() -> None:
    losses(5).require_few_losses("iemocap", 0.05, [])
    losses(6).require_few_losses("iemocap", 0.06, [])
    losses(90, "no_majority").require_few_losses("fi", 0.05, [])  # what the voters could not agree on is not lost
    with pytest.raises(UserError) as error:
        losses(6).require_few_losses("iemocap", 0.05, [])
    assert str(error.value) == (
        "iemocap: 6 of 100 rows would be lost as wav_missing, the first: id0: no file; mend the corpus, or allow it by "
        "acquire.iemocap.max_lost_share (now 0.05)"
    )


def test_pictures_that_were_not_downloaded_are_lost_for_the_reason_of_the_download() -> None:
    dead = [(f"id{number}", "dead_link", "404") for number in range(6)]
    with pytest.raises(UserError, match="6 of 100 rows would be lost as dead_link, the first: id0: 404"):
        losses(6, "image_missing").require_few_losses("fi", 0.05, dead)
    losses(6, "image_missing").require_few_losses("fi", 0.06, dead)


def test_half_of_the_texts_halves_of_a_session_and_doubled_lists_stop(tmp_path: Path) -> None:
    half = [Tweet(t.id, t.text if n % 2 else None, t.images, split=t.split) for n, t in enumerate(plain_tweets(20))]
    with pytest.raises(UserError, match="of 24 rows would be lost as text_missing"):
        count("b_t4sa", build_b_t4sa(tmp_path / "tweets", half)).require_few_losses("b_t4sa", 0.05, [])
    speech = build_iemocap(tmp_path / "speech", empty_wavs=True)
    for path in list(speech.rglob("*.wav"))[:4]:
        path.unlink()
    with pytest.raises(UserError, match="4 of 60 rows would be lost as wav_missing"):
        count("iemocap", speech).require_few_losses("iemocap", 0.05, [])
    count("iemocap", speech).require_few_losses("iemocap", 0.07, [])
    lists = build_fi(tmp_path / "lists", form="agg")
    text = (lists / "agg" / "anger_5agg.csv").read_text()
    (lists / "agg" / "anger_5agg.csv").write_text(2 * text)
    with pytest.raises(UserError, match="2 of 18 rows would be lost as duplicate_id"):
        count("fi", lists).require_few_losses("fi", 0.05, [])


def test_lost_sessions_are_named_and_may_be_allowed(tmp_path: Path) -> None:
    root = build_iemocap(tmp_path, empty_wavs=True, release_folder=False)
    shutil.rmtree(root / "Session2")
    shutil.rmtree(root / "Session4")
    found = count("iemocap", root)
    assert found.differences[:2] == ["IEMOCAP Session2: missing", "IEMOCAP Session4: missing"]
    with pytest.raises(UserError, match="without Session2 and Session4; put"):
        found.require_few_losses("iemocap", 0.39, [])
    found.require_few_losses("iemocap", 0.4, [])


@pytest.mark.parametrize("split", b_t4sa.SPLITS)
def test_an_empty_split_is_an_error_with_its_first_line(tmp_path: Path, split: str) -> None:
    root = build_b_t4sa(tmp_path, splits_in="folder")
    path = root / f"b-t4sa_{split}.txt"
    path.write_text(path.read_text().replace("data/", "pictures/"))
    with pytest.raises(UserError, match=rf"b-t4sa_{split}\.txt names no image .*{split}\.txt:1.*found 'pictures/"):
        count("b_t4sa", root)
    path.write_text("")
    with pytest.raises(UserError, match=rf"b-t4sa_{split}\.txt names no image .*it is empty"):
        count("b_t4sa", root)


NUMBERS: dict[str, Callable[[str], str]] = {
    "scientific": lambda number: f"{int(number):.5E}",
    "lower case": lambda number: str(float(number)),
    "with a point": lambda number: f"{float(number):.1f}",
    "15 digits": lambda number: f"{int(number) // 1000}000",
}


@pytest.mark.parametrize("written", NUMBERS)
@pytest.mark.parametrize("name", [b_t4sa.TEXTS, b_t4sa.SENTIMENTS])
@pytest.mark.parametrize("every", [1, 2])
def test_ids_that_are_numbers_of_a_spreadsheet_are_the_cause_that_is_named(
    tmp_path: Path, written: str, name: str, every: int
) -> None:
    root = build_b_t4sa(tmp_path)
    text = (root / name).read_text()
    for tweet in plain_tweets()[::every]:
        text = text.replace(tweet.id, NUMBERS[written](tweet.id))
    (root / name).write_text(text)
    with pytest.raises(UserError, match=rf"{name}: {20 // every} of 20 ids are numbers .* keep ids as text") as error:
        count("b_t4sa", root)
    assert "\n" not in str(error.value)


def with_backslashes(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def test_quotes_behind_backslashes_are_read_in_every_place(tmp_path: Path) -> None:
    texts = [
        'she said "wow, so sad" and left', '"all of it"', 'ends with "', '", begins', 'a "\nnew line', "back\\slash",
        'both \\" at once', 'a lone " here', "none", "comma, only", '"",""', "",
    ]  # fmt: skip
    tweets = [Tweet(str(784760943188189184 + 7 * n), text, [jpeg(n)]) for n, text in enumerate(texts)]
    root = build_b_t4sa(tmp_path, tweets)
    rows = "".join(f"{tweet.id},{with_backslashes(str(tweet.text))}\n" for tweet in tweets)
    (root / b_t4sa.TEXTS).write_text(f"id,text\n{rows}")
    source = b_t4sa.read_rows(root, b_t4sa.index_tar(root / b_t4sa.TAR))
    assert source.rows["text"].to_pylist() == texts
    assert source.facts["csv_rows_broken"] == 0


def test_backslashes_of_a_file_with_doubled_quotes_stay(tmp_path: Path) -> None:
    texts = ["\u00af\\_(\u30c4)_/\u00af", 'he said "never"', 'a quote "\\', "ends with \\"]
    tweets = [Tweet(str(784760943188189184 + 7 * n), text, [jpeg(n)]) for n, text in enumerate(texts)]
    root = build_b_t4sa(tmp_path, tweets, extra_csv_lines=[b"784760943188189999,one, comma too many"])
    source = b_t4sa.read_rows(root, b_t4sa.index_tar(root / b_t4sa.TAR))
    assert source.rows["text"].to_pylist() == texts
    assert source.facts["csv_rows_broken"] == 1
