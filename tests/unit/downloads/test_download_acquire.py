"""The stage as a command: corpora from servers, archives and lists, beside the same corpora from a folder."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest
import yaml

from pipeline import acquire, sample
from pipeline.commands.command import run_command
from pipeline.corpora import b_t4sa, counts, fi
from pipeline.engine.fingerprint import PROJECT
from pipeline.engine.local import LocalEngine
from pipeline.errors import UserError
from pipeline.frame.params import read_params, section
from pipeline.frame.stage import BaseParams, Context, Paths, Report
from tests import patience
from tests.builders import build_fi, build_iemocap
from tests.builders_pictures import jpeg
from tests.engine_workers import until
from tests.http_server import Fault, WebServer, serve

LOGIN = {"T4SA_USER": "someone", "T4SA_PASSWORD": "pass:word"}


@dataclass(frozen=True)
class Place:
    """A folder with params.yaml, where the stage can run."""

    root: Path

    def params(self, corpus: str, **values: Any) -> None:
        sections = yaml.safe_load((PROJECT / "params.yaml").read_text(encoding="utf-8"))
        sections["acquire"][corpus] |= values
        (self.root / "params.yaml").write_text(yaml.safe_dump(sections), encoding="utf-8")

    def command(self, corpus: str) -> list[str]:
        return [sys.executable, "-m", "pipeline.acquire", corpus]

    def environment(self, more: Mapping[str, str]) -> dict[str, str]:
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("SIER_", "T4SA_", "DVC_"))}
        return {**kept, "PYTHONPATH": str(PROJECT), "NO_PROXY": "*", "SIER_WORKERS": "1", **more}

    def acquire(self, corpus: str, **environment: str) -> subprocess.CompletedProcess[str]:
        return patience.run(self.command(corpus), cwd=self.root, env=self.environment(environment))

    def run(self, corpus: str) -> Report:
        """The same within this process, which is quicker."""
        sections = read_params(self.root / "params.yaml")
        engine = LocalEngine(workers=1)
        context = Context(section(sections, "base", BaseParams), Paths(self.root), engine, corpus, sections)
        return acquire.run(section(sections, f"acquire.{corpus}", acquire.AcquireParams), context)

    def error(self, corpus: str) -> str:
        """The line of a run that must fail."""
        with pytest.raises(UserError) as error:
            self.run(corpus)
        assert LOGIN["T4SA_PASSWORD"] not in str(error.value)
        return str(error.value)

    def manifest(self, corpus: str) -> dict[str, Any]:
        text = (self.root / "data" / "corpora" / corpus / "manifest.json").read_bytes()
        found: dict[str, Any] = json.loads(text)
        return found


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Place:
    for name in (*LOGIN, "SIER_DOWNLOADS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("NO_PROXY", "*")
    (tmp_path / "project").mkdir()
    return Place(tmp_path / "project")


@pytest.fixture(scope="module")
def tweets(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The sample's B-T4SA, its split files in the tar only, as the server gives it out."""
    root = tmp_path_factory.mktemp("tweets")
    sample.make_b_t4sa(root, seed=7, tweets=20)
    for path in root.glob("*.txt"):
        path.unlink()
    return root


def served(root: Path) -> dict[str, bytes]:
    return {f"/dataset/{path.name}": path.read_bytes() for path in root.iterdir()}


def ok(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 0, done.stderr
    return done.stdout


def refused(done: subprocess.CompletedProcess[str]) -> str:
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    assert LOGIN["T4SA_PASSWORD"] not in done.stderr + done.stdout
    return done.stderr.splitlines()[-1]


def test_tweets_from_a_bad_server_are_those_of_a_folder(place: Place, tweets: Path) -> None:
    place.params("b_t4sa", path=str(tweets))
    ok(place.acquire("b_t4sa"))
    expected = place.manifest("b_t4sa")
    with serve(served(tweets), login=("someone", "pass:word")) as server:
        size = len(server.files[f"/dataset/{b_t4sa.TAR}"])
        server.fail(f"/dataset/{b_t4sa.TAR}", Fault(break_after=size // 3), Fault(status=503))
        server.fail(f"/dataset/{b_t4sa.TEXTS}", Fault(status=429, headers={"Retry-After": "0"}))
        digest = hashlib.sha256((tweets / b_t4sa.TAR).read_bytes()).hexdigest()
        place.params("b_t4sa", url=f"{server.url}/dataset/", sha256={b_t4sa.TAR: digest})
        output = ok(place.acquire("b_t4sa", **LOGIN))
        assert place.manifest("b_t4sa") == expected
        assert "B-T4SA listed images: " in output
        assert "the published corpus has 470,586" in output
        assert expected["counts"]["images in the tar"] > 20
        link = place.root / "data" / "corpora" / "b_t4sa" / "files"
        assert link.resolve().is_relative_to(place.root / ".downloads" / "b_t4sa")
        asked = len(server.requests)
        shutil.rmtree(place.root / "data")  # as DVC does before a rerun
        ok(place.acquire("b_t4sa"))
        assert place.manifest("b_t4sa") == expected
        assert len(server.requests) == asked


def test_refusals_name_the_form_and_the_variables(place: Place, tweets: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with serve(served(tweets), login=("someone", "pass:word")) as server:
        place.params("b_t4sa", url=f"{server.url}/dataset")
        line = place.error("b_t4sa")
        assert "401 Unauthorized; access is requested by the form at http://www.t4sa.it; then set T4SA_USER and" in line
        wrong = {"T4SA_USER": "someone", "T4SA_PASSWORD": "pass:wordy"}
        line = refused(place.acquire("b_t4sa", **wrong))
        assert "the log-in in T4SA_USER and T4SA_PASSWORD was not accepted" in line
        monkeypatch.setenv("T4SA_USER", "someone")
        assert "belong together" in place.error("b_t4sa")
        assert len(server.requests) == 2
    monkeypatch.delenv("T4SA_USER")
    monkeypatch.setenv("SIER_DOWNLOADS", "data/downloads")
    assert "SIER_DOWNLOADS" in place.error("b_t4sa")
    place.params("b_t4sa", path=str(tweets), sha256={b_t4sa.TEXTS: "0" * 64})
    assert "sha256 is" in place.error("b_t4sa")
    place.params("b_t4sa", path=str(tweets), sha256={"nothing": "0" * 64})
    assert "no such file" in place.error("b_t4sa")
    assert not (place.root / "data").exists()


@pytest.mark.parametrize("stop", [signal.SIGKILL, signal.SIGINT])
def test_a_run_that_was_stopped_goes_on(place: Place, tweets: Path, tmp_path: Path, stop: signal.Signals) -> None:
    with serve(served(tweets)) as server:
        place.params("b_t4sa", url=f"{server.url}/dataset")
        tar = f"/dataset/{b_t4sa.TAR}"
        server.bytes_per_second = len(server.files[tar]) / 2
        environment = place.environment({"SIER_DOWNLOADS": str(tmp_path / "elsewhere")})
        with subprocess.Popen(
            place.command("b_t4sa"), cwd=place.root, env=environment, stderr=subprocess.PIPE, text=True
        ) as process:
            parts = partial((tmp_path / "elsewhere").glob, f"b_t4sa/*/{b_t4sa.TAR}.part")
            until(lambda: any(part.stat().st_size >= 2**16 for part in parts()), "a piece")
            process.send_signal(stop)
            _, said = patience.finish(process)
        if stop == signal.SIGINT:
            line = "acquire@b_t4sa: error: stopped; downloads are kept, run the same command to go on"
            assert said.splitlines()[-1] == line
        (part,) = parts()
        kept = part.stat().st_size
        server.bytes_per_second = None
        before = len(server.requests)
        ok(place.acquire("b_t4sa", SIER_DOWNLOADS=str(tmp_path / "elsewhere")))
        assert [(one.path, one.range) for one in server.requests[before:]] == [(tar, f"bytes={kept}-")]
        assert server.requests[-1].sent_bytes == len(server.files[tar]) - kept


def test_speech_from_a_packed_tar_is_that_of_a_folder(place: Place, tmp_path: Path) -> None:
    root = build_iemocap(tmp_path / "speech")
    (root / "IEMOCAP_full_release" / "Session1" / "dialog" / "avi").mkdir()
    (root / "IEMOCAP_full_release" / "Session1" / "dialog" / "avi" / "film.avi").write_bytes(b"film")
    place.params("iemocap", path=str(root))
    place.run("iemocap")
    expected = place.manifest("iemocap")
    archive = tmp_path / "IEMOCAP_full_release.tar.gz"
    with tarfile.open(archive, "w:gz") as tar:
        tar.add(root, "outer")
    place.params("iemocap", path=str(archive))
    notes = place.run("iemocap").notes
    assert place.manifest("iemocap") == expected
    assert "IEMOCAP neu: 10 utterances, the published corpus has 1,708" in notes
    assert not list((place.root / ".downloads").rglob("*.avi"))


@pytest.mark.parametrize("form", ["folders", "emoset"])
def test_pictures_from_a_zip_by_address_are_those_of_a_folder(place: Place, tmp_path: Path, form: str) -> None:
    root = build_fi(tmp_path / "pictures", form=form)
    place.params("fi", path=str(root))
    place.run("fi")
    expected = place.manifest("fi")
    archive = Path(shutil.make_archive(str(tmp_path / "emotions"), "zip", root))
    digest = hashlib.sha256(archive.read_bytes()).hexdigest()
    with serve({"/a/emotions.zip": archive.read_bytes()}) as server:
        place.params("fi", url=f"{server.url}/a/emotions.zip", sha256={"emotions.zip": digest})
        notes = place.run("fi").notes
    assert place.manifest("fi") == expected
    assert len(expected["differences"]) == 1
    assert expected["differences"][0] in notes


def lists(folder: Path, server: WebServer, forms: Mapping[str, bytes]) -> Path:
    """FI's original lists: for each emotion the addresses of `forms`, which the server knows."""
    (folder / "agg").mkdir(parents=True)
    for emotion in fi.EMOTIONS:
        rows = [f"{number},{server.url}/{emotion}/{emotion}_{name},1,4" for number, name in enumerate(forms)]
        (folder / "agg" / f"{emotion}_agg.csv").write_text("\n".join(rows) + "\n", encoding="utf-8")
        server.files |= {f"/{emotion}/{emotion}_{name}": data for name, data in forms.items() if data}
    return folder


def test_pictures_of_the_lists_are_downloaded_and_dead_links_listed(place: Place, tmp_path: Path) -> None:
    with serve() as server:
        root = lists(tmp_path / "lists", server, {"dead.jpg": b"", "gone.png": jpeg(99)})
        for number, emotion in enumerate(fi.EMOTIONS):
            path = root / "agg" / f"{emotion}_agg.csv"
            rows = [f"{server.url}/{emotion}/{emotion}_{name}.jpg" for name in ("x", "y")]
            # Two emotions with pictures of one name, of which one is dead; and a row that the majority did not confirm.
            shared = {"anger": "/here/shared.jpg", "awe": "/dead/shared.jpg"}
            more = [f"3,{server.url}{shared[emotion]},0,5"] if emotion in shared else []
            text = "\n".join([*(f"1,{row},1,4" for row in rows), f"2,{server.url}/minority.jpg,4,1", *more, "nonsense"])
            path.write_text(path.read_text(encoding="utf-8") + text, encoding="utf-8")
            server.files |= {row.removeprefix(server.url): jpeg(10 * number + place) for place, row in enumerate(rows)}
        server.files["/here/shared.jpg"] = jpeg(77)
        place.params("fi", path=str(root))
        assert "9 of 50 rows would be lost as dead_link, the first: amusement/amusement_dead.jpg" in place.error("fi")
        place.params("fi", path=str(root), max_lost_share=0.2)
        output = ok(place.acquire("fi"))
        assert "16 of 34 pictures downloaded" in output
        assert "dead_link 9, name_shared 1, placeholder 8" in output
        corpus = place.root / "data" / "corpora" / "fi"
        rejects = pq.read_table(corpus / "rejects.parquet").to_pylist()
        assert len(rejects) == 18
        assert {row["id"] for row in rejects if row["status"] == "name_shared"} == {"anger/shared.jpg"}
        assert place.manifest("fi")["counts"] == dict.fromkeys(fi.EMOTIONS, 2)
        assert len(place.manifest("fi")["differences"]) == 8
        found = fi.read(corpus / "files")
        assert len(found.images) == 16
        assert [one.path.read_bytes() for one in found.images[:2]] == [jpeg(0), jpeg(1)]
        asked, before = len(server.requests), (corpus / "manifest.json").read_bytes()
        place.run("fi")
        assert len(server.requests) == asked
        assert (corpus / "manifest.json").read_bytes() == before


def test_emotion_texts_from_an_archive_are_those_of_a_folder(place: Place, tmp_path: Path) -> None:
    root = tmp_path / "texts"
    sample.make_emotion_texts(root, seed=1, texts=60)
    place.params("emotion_texts", path=str(root), max_lost_share=0.1)
    notes = place.run("emotion_texts").notes
    assert "emotion_texts isear: 18 rows, the published corpus has 7,666" in notes
    expected = place.manifest("emotion_texts")
    assert [file["name"] for file in expected["files"]][:2] == ["goemotions/dev.tsv", "goemotions/emotions.txt"]
    assert {"goemotions joy", "isear anger", "meld neutral"} <= expected["counts"].keys()
    (root / "goemotions" / "video.mp4").write_bytes(b"0" * 10)
    archive = shutil.make_archive(str(tmp_path / "texts"), "zip", tmp_path, "texts")
    place.params("emotion_texts", path=archive, max_lost_share=0.1)
    place.run("emotion_texts")
    assert place.manifest("emotion_texts") == expected
    assert not list((place.root / ".downloads").rglob("*.mp4"))


def test_an_archive_of_something_else(place: Place, tmp_path: Path, tweets: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"hello")
    place.params("fi", path=str(tmp_path / "a.zip"))
    assert "neither a zip nor a tar" in place.error("fi")
    build_fi(tmp_path / "pictures")
    shutil.rmtree(tmp_path / "pictures" / "awe")
    place.params("fi", path=shutil.make_archive(str(tmp_path / "b"), "zip", tmp_path / "pictures"))
    assert "no folder for awe" in place.error("fi")
    place.params("b_t4sa", path=str(tweets / b_t4sa.TAR))
    assert "expected the folder that holds" in place.error("b_t4sa")


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"url": "http://me:secret@host/x"}, "acquire.fi.url: expected an address without user and password"),
        ({"url": "ftp://host/x"}, 'acquire.fi.url = "ftp://host/x": expected an address that starts with http'),
        ({"url": "http://[x"}, "acquire.fi.url"),
        ({"url": "http://host/x?token=secret", "path": "/x"}, "acquire.fi: expected path or url, not both"),
        ({"sha256": {"a": "12"}}, "acquire.fi.sha256.a"),
    ],
)
def test_parameters_that_cannot_be(
    place: Place, capsys: pytest.CaptureFixture[str], values: dict[str, Any], says: str
) -> None:
    place.params("fi", **values)
    assert run_command("check", [str(place.root / "params.yaml")]) == 1
    line = capsys.readouterr().err
    assert says in line
    assert "secret" not in line


def test_counts_of_the_published_corpora_add_up() -> None:
    known = counts.B_T4SA
    assert known["negative"] + known["neutral"] + known["positive"] == known["listed images"]
    assert known["train"] + known["val"] + known["test"] == known["listed images"]
    assert sum(counts.FI_LISTS.values()) == 23_166
