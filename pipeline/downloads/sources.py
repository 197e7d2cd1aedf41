"""Where a corpus comes from: a folder, an archive, a server, or lists of addresses; afterwards it is a folder.

In   `path` or `url` of `acquire.<corpus>`; log-ins from the environment
Out  the root of the corpus, in place: of a local one nothing is copied; what is downloaded or unpacked lies below
     `SIER_DOWNLOADS` (default `.downloads`), which is no output of DVC's, so that it deletes nothing there
"""

import hashlib
import os
import re
import shutil
from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit, urlunsplit

from pipeline.corpora import _text_files, b_t4sa, emoset, fi
from pipeline.corpora._files import Reject, visible_names
from pipeline.corpora.checks import SUFFIXES, is_wanted_of_archive
from pipeline.corpora.further import _tables
from pipeline.downloads import archives, containers, pictures, web
from pipeline.downloads.resume import download
from pipeline.engine import files, lifecycle
from pipeline.errors import UserError
from pipeline.frame import places
from pipeline.frame.acquired import TABLE
from pipeline.frame.stage import Paths

VARIABLE = "SIER_DOWNLOADS"
DEFAULT = ".downloads"
LOGINS = {
    "b_t4sa": ("T4SA_USER", "T4SA_PASSWORD"),
    "iemocap": ("IEMOCAP_USER", "IEMOCAP_PASSWORD"),
    "fi": ("FI_USER", "FI_PASSWORD"),
    "emotion_texts": ("EMOTION_TEXTS_USER", "EMOTION_TEXTS_PASSWORD"),
}
REQUEST = {
    "b_t4sa": "the form at http://www.t4sa.it",
    "iemocap": "the licence form at https://sail.usc.edu/iemocap",
    "fi": "its authors (You et al. 2016), or take EmoSet-118K",
    "emotion_texts": "nobody for GoEmotions and MELD, which their authors' repositories hold, and of ISEAR's authors",
}
# The small ones first: they show at once whether the log-in is right.
B_T4SA_FILES = (b_t4sa.SENTIMENTS, b_t4sa.TEXTS, b_t4sa.TAR)
_IEMOCAP = re.compile(
    r"(.*/)?Session[^/]+/(dialog/(EmoEvaluation|transcriptions)/[^/]+\.txt|sentences/wav/[^/]+/[^/]+\.wav)",
    re.IGNORECASE,
)
_DEPTH = 4  # folders that may be wrapped around the corpus in an archive


@dataclass(frozen=True)
class Source:
    """A corpus in a folder or a table. `archive`: what it was unpacked from; `rejects`: addresses without a picture."""

    root: Path
    archive: Path | None = None
    notes: tuple[str, ...] = ()
    rejects: list[Reject] = field(default_factory=list)


@dataclass(frozen=True)
class Wanted:
    """A corpus, the format in which it is expected, and what raises UserError where it is not."""

    corpus: str
    format: str
    check: Callable[[Path], None]


def from_path(wanted: Wanted, path: str, paths: Paths) -> Source:
    """The corpus in a local folder or archive; `UserError` if it is not there in its format."""
    corpus = wanted.corpus
    # Read by its own name and not through a link, so that an error names what the user knows.
    given = (places.project_of(paths.root) / Path(path).expanduser()).resolve()
    if given.is_dir():
        return _with_pictures(wanted, Source(given), paths)
    if not given.is_file():
        problem = "no such folder or file" if given == Path(path) else f"no such folder or file as {given}"
        raise UserError(f"acquire.{corpus}.path = {path}: {problem}; expected the corpus, or null")
    if wanted.format == "b_t4sa":
        expected = f"expected the folder that holds {', '.join(B_T4SA_FILES)}"
        raise UserError(f"acquire.{corpus}.path = {path}: a file; {expected}")
    if wanted.format == TABLE and given.suffix.lower() in _tables.SUFFIXES:
        wanted.check(given)
        return Source(given)
    return _from_archive(wanted, given, paths)


def from_url(wanted: Wanted, url: str, sha256: dict[str, str], paths: Paths) -> Source:
    """The corpus from a server: the folder of B-T4SA's files, or the archive of another corpus.

    Raises UserError if that fails (see `resume.download`), or if it is not the corpus.
    """
    corpus = wanted.corpus
    login, access = _login(corpus)
    parts = urlsplit(url)
    # Another address may hold another version; its digest keeps the two apart.
    folder = _folder(corpus, paths) / f"{parts.hostname}-{hashlib.sha256(web.shown(url).encode()).hexdigest()[:12]}"
    names = B_T4SA_FILES if wanted.format == "b_t4sa" else (PurePosixPath(unquote(parts.path)).name,)
    if not names[0] or names[0].startswith("."):
        expected = "expected the address of an archive, such as .../corpus.zip"
        raise UserError(f"acquire.{corpus}.url = {web.shown(url)}: {expected}")
    folder.mkdir(parents=True, exist_ok=True)
    with lifecycle.only_run(folder / ".lock"):
        for name in names:
            file = url if len(names) == 1 else urlunsplit(parts._replace(path=f"{parts.path.rstrip('/')}/{name}"))
            download(file, folder / name, login=login, sha256=sha256.get(name), access=access)
    if wanted.format == "b_t4sa":
        wanted.check(folder)
        return Source(folder)
    return _from_archive(wanted, folder / names[0], paths)


def _from_archive(wanted: Wanted, archive: Path, paths: Paths) -> Source:
    if not containers.is_archive(archive):
        raise UserError(f"{archive}: neither a zip nor a tar; expected the corpus as a folder or an archive")
    # What is unpacked depends on the format.
    form = "" if wanted.format == wanted.corpus else f"-{wanted.format}"
    folder = _folder(wanted.corpus, paths) / f"{files.sha256_of(archive)[:16]}{form}-unpacked"
    folder.mkdir(parents=True, exist_ok=True)
    with lifecycle.only_run(folder.with_name(f"{folder.name}.lock")):
        unpacked = archives.unpack(archive, folder, lambda name: _is_wanted(wanted.format, name))
    notes = [f"{archive.name} unpacked in {folder}: {unpacked.files:,} files, {unpacked.bytes:,} bytes"]
    notes += [f"{archive.name}: {count:,} members left out: {reason}" for reason, count in unpacked.left_out.items()]
    root = _root(wanted, folder / archives.FILES)
    return _with_pictures(wanted, Source(root, archive, tuple(notes)), paths)


def _is_wanted(form: str, name: str) -> bool:
    """Whether the format's reader reads this member; IEMOCAP's videos alone would be many gigabytes."""
    if form in SUFFIXES:
        return is_wanted_of_archive(form, name)
    if form == "iemocap":
        return _IEMOCAP.fullmatch(name) is not None
    path = PurePosixPath(name)
    if form == "emotion_texts":
        return path.suffix.lower() in _text_files.SUFFIXES or path.name in _text_files.NAMES
    return path.suffix.lower() in {*fi.SUFFIXES, ".csv"} or path.name in emoset.FILES


def _root(wanted: Wanted, top: Path) -> Path:
    """The folder in `top` that is the corpus: archives tend to wrap it in others."""
    first: UserError | None = None
    here = top
    for _ in range(_DEPTH):
        if wanted.format == "fi" and fi.needs_pictures(here):
            return here
        try:
            wanted.check(here)
        except UserError as error:
            first = first or error
        else:
            return here
        names = visible_names(here)
        if len(names) != 1 or not (here / names[0]).is_dir():
            break
        here /= names[0]
    assert first is not None, "a depth of one or more"
    raise first


def _with_pictures(wanted: Wanted, source: Source, paths: Paths) -> Source:
    if wanted.format != "fi" or not fi.needs_pictures(source.root):
        wanted.check(source.root)
        return source
    lists = [path for _, path in fi.list_files(source.root)]
    digest = hashlib.sha256("".join(f"{path.name} {files.sha256_of(path)}\n" for path in lists).encode()).hexdigest()
    folder = _folder(wanted.corpus, paths) / f"{digest[:16]}-pictures"
    folder.mkdir(parents=True, exist_ok=True)
    with lifecycle.only_run(folder / ".lock"), files.replacing(folder / "corpus") as new:
        shutil.copytree(source.root / fi.LISTS, new / fi.LISTS, ignore=shutil.ignore_patterns(".*"))
        (new / fi.IMAGES).mkdir()
        wanted.check(new)
        addresses = fi.addresses(new)
        outcomes = _without_mistakable_names(pictures.fetch_all(addresses, folder))
        good = [outcome.id for outcome in outcomes if outcome.status == pictures.OK]
        for picture_id in good:
            files.link_or_copy(folder / pictures.FETCHED / picture_id, new / fi.IMAGES / picture_id)
    rejects = [(outcome.id, outcome.status, outcome.reason) for outcome in outcomes if outcome.status != pictures.OK]
    note = f"{len(good):,} of {len(addresses):,} pictures downloaded"
    return Source(folder / "corpus", source.archive, (*source.notes, note), rejects)


def _without_mistakable_names(outcomes: list[pictures.Outcome]) -> list[pictures.Outcome]:
    """Two emotions may list different pictures of one name: if one alone is there, the reader takes it for both."""
    same_name: defaultdict[str, list[pictures.Outcome]] = defaultdict(list)
    for outcome in outcomes:
        same_name[PurePosixPath(outcome.id).name].append(outcome)
    mistakable = {
        name
        for name, group in same_name.items()
        if len({outcome.url for outcome in group}) > 1 and any(outcome.status != pictures.OK for outcome in group)
    }
    reason = "another emotion lists another picture of this name, which is not there"
    return [
        pictures.Outcome(outcome.id, outcome.url, "name_shared", reason)
        if outcome.status == pictures.OK and PurePosixPath(outcome.id).name in mistakable
        else outcome
        for outcome in outcomes
    ]


def _folder(corpus: str, paths: Paths) -> Path:
    root = places.project_of(paths.root).resolve()
    folder = (root / Path(os.environ.get(VARIABLE) or DEFAULT).expanduser()).resolve()
    for deleted in (paths.data, paths.work, paths.reports):
        if folder.is_relative_to(deleted.resolve()):
            problem = f"DVC or a later run deletes what lies in {deleted}; choose another folder"
            raise UserError(f"{VARIABLE} = {folder}: {problem}")
    return folder / corpus


def _login(corpus: str) -> tuple[web.Login | None, str]:
    """The log-in, if the environment has one, and what to do if the server refuses it."""
    names = LOGINS[corpus]
    user, password = (os.environ.get(name, "") for name in names)
    if bool(user) != bool(password):
        raise UserError(f"{names[0]} and {names[1]} belong together, and one of them is not set; set both or none")
    request = f"access is requested by {REQUEST[corpus]}"
    if not user:
        return None, f"{request}; then set {names[0]} and {names[1]}"
    return web.Login(user, password), f"the log-in in {names[0]} and {names[1]} was not accepted; {request}"
