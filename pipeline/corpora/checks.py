"""The check of each corpus that can be acquired, by its name."""

from __future__ import annotations

from pipeline.corpora import b_t4sa, fi, iemocap

CHECKS = {"b_t4sa": b_t4sa.check, "iemocap": iemocap.check, "fi": fi.check}
# The files that readers read, seen from the corpus's root; their hashes make a change of the corpus visible.
READ = {
    "b_t4sa": ("*.tar", "*.txt", "*.csv", "*.tsv"),
    "iemocap": tuple(
        f"{release}Session*/{part}"
        for release in ("", "IEMOCAP_full_release/")
        for part in ("dialog/EmoEvaluation/*.txt", "dialog/transcriptions/*.txt", "sentences/wav/*/*.wav")
    ),
    "fi": ("*.json", "*/*", "images/*/*", "images/*/*/*"),
}
