"""Corpora that can be acquired: the check of each, and the files that its reader reads."""

from pipeline.corpora import _text_files, b_t4sa, emotion_texts, fi, iemocap

CHECKS = {"b_t4sa": b_t4sa.check, "iemocap": iemocap.check, "fi": fi.check, "emotion_texts": emotion_texts.check}
# Patterns below the corpus's root; the hashes of these files make a change of the corpus visible.
READ = {
    "b_t4sa": ("*.tar", "*.txt", "*.csv", "*.tsv"),
    "iemocap": tuple(
        f"{release}Session*/{part}"
        for release in ("", f"{iemocap.RELEASE}/")
        for part in ("dialog/EmoEvaluation/*.txt", "dialog/transcriptions/*.txt", "sentences/wav/*/*.wav")
    ),
    "fi": ("*.json", "*/*", "images/*/*", "images/*/*/*"),
    "emotion_texts": tuple(
        f"{folder}{name}"
        for folder in ("", "*/")
        for suffix in _text_files.SUFFIXES
        for name in (f"*{suffix}", f"*{suffix.upper()}", *_text_files.NAMES)
    ),
}
