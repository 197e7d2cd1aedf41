"""Rows that are left out because somebody asked for it: a tweet was deleted, or its author objects.

A list is a text file with an id a line, of a tweet or of a row; after `#` stands a comment.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pipeline.errors import UserError
from pipeline.publishing.media import MediaSource

LIST_BYTES_MAX = 2**28
ID_CHARACTERS = 200
SHOWN = 20


@dataclass(frozen=True)
class Dropped:
    """Ids of rows that are left out, and what of the list stands for no row."""

    ids: frozenset[str] = frozenset()
    unknown: tuple[str, ...] = ()

    def told(self, path: Path) -> str:
        """In words, with the first of what is unknown."""
        rows = f"{path}: {len(self.ids)} rows left out"
        if not self.unknown:
            return rows
        more = ", ..." if len(self.unknown) > SHOWN else ""
        return f"{rows}; {len(self.unknown)} ids are of no row: {', '.join(self.unknown[:SHOWN])}{more}"


def read_list(path: Path) -> tuple[str, ...]:
    """The ids of a list, each once, in its order; UserError where it cannot be read, is no such list, or is empty."""
    try:
        if path.exists() and not path.is_file():
            raise UserError(f"{path}: is no file; expected a list of ids, one a line")
        if path.stat().st_size > LIST_BYTES_MAX:
            raise UserError(f"{path}: is larger than {LIST_BYTES_MAX // 2**20} MiB; expected a list of ids, one a line")
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {(error.strerror or str(error)).lower()}") from None
    except UnicodeDecodeError:
        raise UserError(f"{path}: is no text in UTF-8; expected a list of ids, one a line") from None
    found: dict[str, None] = {}
    for number, line in enumerate(text.splitlines(), 1):
        identity = line.partition("#")[0].strip()
        if len(identity) > ID_CHARACTERS or len(identity.split()) > 1 or not identity.isprintable():
            raise UserError(f"{path}, line {number}: expected one id, of a tweet or of a row, and a comment after #")
        if identity:
            found[identity] = None
    if not found:
        raise UserError(f"{path}: holds no id; expected ids of tweets or rows, one a line")
    return tuple(found)


def find(listed: Collection[str], tweets: Mapping[str, str | None]) -> Dropped:
    """The rows that a list stands for, of those in `tweets`: tweet by id of the row, None where only the id is known.

    An id of a row ends in `-<n>`, the number of its picture; without that it is the tweet's.
    """
    wanted, met, ids = set(listed), set(), set()
    for identity, tweet in tweets.items():
        names = {identity, identity.rpartition("-")[0], tweet} & wanted
        if names:
            ids.add(identity)
            met |= names
    return Dropped(frozenset(ids), tuple(identity for identity in listed if identity not in met))


def of_build(path: Path, data: Path) -> Dropped:
    """What a list stands for in a build: of all rows that have picture and speech, labelled or not."""
    listed = read_list(path)
    media = MediaSource(data, keep_personal=True)
    return find(listed, tweets_of(media, media.index("speech").index))


def tweets_of(media: MediaSource, ids: Iterable[str]) -> dict[str, str | None]:
    """The tweets of rows as data/clean has them; None where it does not have the row."""
    known = media.index("clean", ["tweet_id"])["tweet_id"].to_dict()
    return {identity: known.get(identity) for identity in ids}
