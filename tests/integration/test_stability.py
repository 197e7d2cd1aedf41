"""`sier stability` with real stages: a voice that speaks anew, a teacher that learns anew, a run that is killed."""

from __future__ import annotations

import json
import time

from tests.project import Project

COMMAND = ("python", "-m", "pipeline", "stability")
SLOW = ("--variant", "slow voice", "synthesize.voice.length_scale=1.3", "--rows", "8")
OTHER = ("--variant", "other words", "train_teacher.speech.words.encoder=tf-idf")
ONLY = ("--only", "slow voice", "--only", "other words")


def test_a_killed_run_goes_on_and_data_stays_as_it_is(tiny_copy: Project) -> None:
    before = tiny_copy.digests("data", "params.yaml", "dvc.yaml")
    old = {path.name for path in (tiny_copy.root / ".work" / "synthesize").iterdir()}
    with tiny_copy.running(*COMMAND, *SLOW, *OTHER, *ONLY) as process:
        while not (spoken := _spoken(tiny_copy, old)):
            assert process.poll() is None
            time.sleep(0.05)
        process.kill()
        process.wait()
    assert not (tiny_copy.root / "reports" / "stability.json").exists()

    done = tiny_copy.run(*COMMAND, *SLOW, *OTHER, *ONLY)
    assert done.returncode == 0, done.stderr
    kept = _spoken(tiny_copy, old)
    assert {name: kept.get(name) for name in spoken} == spoken  # reused, not spoken once more
    report = (tiny_copy.root / "reports" / "stability.json").read_bytes()
    found = {record["name"]: record for record in json.loads(report)["variants"]}
    assert found["slow voice"]["made_anew"] == ["synthesize", "score@speech"]
    assert 0 < found["slow voice"]["rows"] < found["other words"]["rows"]
    assert found["other words"]["made_anew"] == ["train_teacher@speech", "score@speech"]
    assert found["other words"]["changed"]["rows"] > 0
    assert tiny_copy.digests("data", "params.yaml", "dvc.yaml") == before

    # With nothing left to make, with other workers and after the other variant, it says the same.
    again = tiny_copy.run(*COMMAND, *OTHER, *SLOW, *ONLY, SIER_WORKERS="1")
    assert again.returncode == 0, again.stderr
    other = json.loads((tiny_copy.root / "reports" / "stability.json").read_bytes())
    assert {record["name"]: record for record in other["variants"]} == found


def _spoken(project: Project, old: set[str]) -> dict[str, tuple[int, int]]:
    """Committed parts of the variant's own recordings, not those that the project had: which file, and when written."""
    folders = (project.root / ".work" / "stability").glob("*/.work/synthesize/*/recorded")
    parts = (path for folder in folders if folder.parent.name not in old for path in folder.glob("part-*.json"))
    return {path.name: (status.st_ino, status.st_mtime_ns) for path in parts for status in [path.stat()]}
