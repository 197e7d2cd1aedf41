"""Stage clean on a corpus made by an enemy: a row or a reject for each listed image, and no file outside."""

from __future__ import annotations

import tarfile
from dataclasses import replace
from pathlib import Path

import pyarrow.parquet as pq

from tests.builders import build_b_t4sa, plain_tweets
from tests.builders_b_t4sa import Tweet
from tests.builders_tar import header
from tests.project import new_project
from tests.unit.media.test_hostile_images import BOMBS, PNG

IMAGE_BOMBS = ("gif frame", "webp canvas", "png text", "png chunk", "tiff tag", "jpeg scans", "svg", "eps", "long")
TEXTS = {
    "no space": "x" * 10_000, "dots": "a." * 5_000, "right to left": "\u202e" + "שלום " * 9,
    "controls": "be\x00ep \x07\x1b[2J\u200b boop", "tags": "<speak><break time='9999s'/></speak> [[h@l'oU]]",
    "lines": "one\r\ntwo\u2028three\x0bfour", "family": "👩\u200d👩\u200d👧 and 🇬🇧 and 1\ufe0f\u20e3",
}  # fmt: skip
SILENT = {
    "marks": "\u0301" * 1_000,
    "ellipses": "…" * 10_000,
    "punctuation": "?!…,;" * 50,
    "zero width": "\u200b\u200d\ufeff" * 99,
}
FIRST_ID = 793_000_000_000_000_000
ADDRESS_SPACE_KIB = 3 * 2**20


def hostile_tweets() -> tuple[list[Tweet], dict[str, str]]:
    """Tweets, and by id what is to become of them: empty for a row."""
    sound = plain_tweets(20)
    pictures = iter(plain_tweets(20, first_seed=5_000))
    tweets, fate = list(sound), {f"{tweet.id}-{n}": "" for tweet in sound for n, _ in enumerate(tweet.images, 1)}
    for number, (name, text) in enumerate({**TEXTS, **SILENT}.items(), FIRST_ID):
        tweets.append(replace(next(pictures), id=str(number), text=text))
        status = "text_language" * (name == "right to left") or "text_empty" * (name in SILENT)
        fate |= {f"{number}-{n}": status for n, _ in enumerate(tweets[-1].images, 1)}
    for number, name in enumerate(IMAGE_BOMBS, FIRST_ID + 1_000):
        tweets.append(Tweet(str(number), f"what a picture number {number}", [BOMBS[name]()]))
        fate[f"{number}-1"] = "image_"
    tweets.append(Tweet(str(FIRST_ID + 2_000), "a png by another name", [PNG]))
    fate[f"{FIRST_ID + 2_000}-1"] = ""
    return tweets, fate


def test_a_hostile_corpus_costs_its_own_rows_only(tmp_path: Path) -> None:
    tweets, fate = hostile_tweets()
    corpus = build_b_t4sa(tmp_path / "corpus", tweets, hostile_members=True)
    tar = corpus / "b-t4sa_imgs.tar"
    outside = header(str(tmp_path / "outside-1.jpg"), 0) + header("../../../outside-1.jpg", 0)
    tar.write_bytes(outside + header("b-t4sa_imgs/data/78476", 0, tarfile.SYMTYPE) + tar.read_bytes())
    changes = {"acquire.b_t4sa.path": str(corpus), "clean.shard_rows": 12, "clean.image.max_lost_share": 0.0}
    project = new_project(tmp_path / "project", changes)
    there = {path for path in tmp_path.rglob("*") if project.root not in path.parents}
    project.run("python", "-m", "pipeline.acquire", "b_t4sa")
    script = f"ulimit -v {ADDRESS_SPACE_KIB} && exec python -m pipeline.clean"
    environment = {"SIER_WORKERS": "1", "OMP_NUM_THREADS": "1", "HOME": str(project.root)}
    stopped = project.run("sh", "-c", script, **environment)
    assert stopped.returncode == 1
    assert "rows would be lost as image_" in stopped.stderr.splitlines()[-1]
    assert "clean.image.max_lost_share (now 0.0)" in stopped.stderr.splitlines()[-1]
    project.set_params({"clean.image.max_lost_share": 1.0})
    done = project.run("sh", "-c", script, **environment)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    assert {path for path in tmp_path.rglob("*") if project.root not in path.parents} == there
    clean = project.root / "data" / "clean"
    rows = [row for part in sorted(clean.glob("part-*.parquet")) for row in pq.read_table(part)["id"].to_pylist()]
    rejects = [row for part in sorted(clean.glob("rejects/*.parquet")) for row in pq.read_table(part).to_pylist()]
    assert sorted([*rows, *(row["id"] for row in rejects)]) == sorted(fate)
    assert sorted(rows) == sorted(identity for identity, status in fate.items() if not status)
    assert [row for row in rejects if not row["status"].startswith(fate[row["id"]])] == []
