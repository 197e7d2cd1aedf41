"""The sample's usable tweets: authored texts, dressed as tweets are, with a feeling, a sentiment and picture subjects.

Nothing here is damaged (see `oddities`), but everything needs cleaning: prefixes, links, entities, emoji, line breaks.
"""

import html
import string
from dataclasses import dataclass, replace

import numpy as np

from pipeline.sample.pictures import EMOTIONS, EVERYDAY
from pipeline.sample.wording import SHARED_WORDING_TWEETS, authored, with_phrase

# Share of tweets whose sentiment label is not the one their feeling has: B-T4SA's labels are a machine's.
SENTIMENT_NOISE = 0.15
# Share of pictures that have nothing to do with the tweet's feeling. Raise to make the modalities disagree more.
PICTURE_DISAGREEMENT = 0.33
# Share of pictures that are two side by side, the second of anything. Raise for more rows under the threshold.
COLLAGES = 0.3

# B-T4SA's digit for each sentiment is the position in this tuple.
FEELINGS = (("anger", "annoyance", "disgust", "sadness", "grief"), ("neutral", "news", "ads"), ("joy", "excitement"))
# What people put beside such a text: emotions and their weights.
SUBJECTS = {
    "joy": {"contentment": 0.35, "amusement": 0.3, "excitement": 0.35},
    "excitement": {"excitement": 0.85, "amusement": 0.15},
    "anger": {"anger": 0.9, "fear": 0.1},
    "annoyance": {"anger": 0.6, "disgust": 0.3, "amusement": 0.1},
    "disgust": {"disgust": 0.95, "anger": 0.05},
    "sadness": {"sadness": 0.9, "fear": 0.1},
    "grief": {"sadness": 0.9, "awe": 0.1},
    "neutral": {EVERYDAY: 1.0},
    "news": {EVERYDAY: 1.0},
    "ads": {EVERYDAY: 1.0},
}
# Tweets with more than one picture: position in each third of the tweets, modulo PATTERN -> pictures. The same in every
# third, so that images are balanced over sentiments as they are in B-T4SA.
PATTERN = 40
PICTURES = {2: 2, 5: 4, 19: 2, 27: 3}


@dataclass(frozen=True)
class Tweet:
    """A tweet as posted, entities and links and all; `subjects`: the emotions of each picture (two: a collage)."""

    id: str
    text: str
    feeling: str
    sentiment: int
    subjects: tuple[tuple[str, ...], ...]


def write_tweets(seed: int, count: int) -> list[Tweet]:
    """`count` tweets, a third per sentiment, in random order; ids have 18 digits."""
    rng = np.random.default_rng([seed, 10])
    ids = iter(new_ids(rng, count))
    tweets: list[Tweet] = []
    for sentiment, feelings in enumerate(FEELINGS):
        size = (count + sentiment) // 3
        for position, (feeling, text) in enumerate(_texts(feelings, size, rng)):
            worded = with_phrase(text, feeling, SHARED_WORDING_TWEETS, rng)
            # Starting each third elsewhere brings every kind of dress into a sample of a dozen.
            dressed = _dress(worded, feeling, position + 4 * sentiment, rng)
            pictures = PICTURES.get(position % PATTERN, 1)
            subjects = tuple(_subject(feeling, rng) for _ in range(pictures))
            tweets.append(Tweet(next(ids), dressed, feeling, sentiment, subjects))
    tweets = _mislabel(tweets, rng)
    return [tweets[i] for i in rng.permutation(count)]


def new_ids(rng: np.random.Generator, count: int) -> list[str]:
    """Made-up ids of the second half of 2016, when B-T4SA was collected; all above 2**53."""
    first, last = 758_000_000_000_000_000, 811_000_000_000_000_000
    return [str(first + (last - first) // count * i + int(rng.integers((last - first) // count))) for i in range(count)]


def link(rng: np.random.Generator) -> str:
    """A shortened link, as every shared picture has one at the end of its text."""
    letters = np.array(list(string.ascii_letters + string.digits))
    return "https://t.co/" + "".join(rng.choice(letters, 10))


def handle(rng: np.random.Generator) -> str:
    """A mention of nobody."""
    return f"@user_{rng.integers(1000, 10000)}"


def _texts(feelings: tuple[str, ...], size: int, rng: np.random.Generator) -> list[tuple[str, str]]:
    """`size` (feeling, text) pairs; feelings are spread evenly, in proportion to their authored texts."""
    authored_tweets = authored("tweets")
    spread = sorted(
        ((index + 0.5) / len(authored_tweets[feeling]), feeling, text)
        for feeling in feelings
        for index, text in enumerate(authored_tweets[feeling])
    )
    texts = []
    for position in range(size):
        turn, index = divmod(position, len(spread))
        _, feeling, text = spread[index]
        slots = {name: str(rng.choice(words)) for name, words in authored_tweets["slots"].items()}
        again = f" ({turn + 1})" if turn else ""
        filled = text.format_map(slots)
        texts.append((feeling, filled[0].upper() + filled[1:] + again))
    return texts


def _subject(feeling: str, rng: np.random.Generator) -> tuple[str, ...]:
    weights = SUBJECTS[feeling]
    disagree, collage = rng.random(2) < (PICTURE_DISAGREEMENT, COLLAGES)
    fitting, any_, second = str(rng.choice(list(weights), p=list(weights.values()))), *rng.choice(EMOTIONS, 2)
    first = str(any_) if disagree else fitting
    return (first, str(second)) if collage else (first,)


def _dress(text: str, feeling: str, kind: int, rng: np.random.Generator) -> str:
    """The text as it was posted: one of twelve kinds of dress."""
    words = authored("tweets")
    text = html.escape(text, quote=False)
    hashtags = [str(tag) for tag in rng.choice(words["hashtags"][feeling], 2, replace=False)]
    emoji = str(rng.choice(words["emoji"][feeling]))
    url, somebody = link(rng), handle(rng)
    cut = text[: max(20, len(text) - 12)].rsplit(" ", 1)[0]
    dresses = (
        text,
        f"{text} {url}",
        f"{text} {hashtags[0]}",
        f"{text} {emoji} {url}",
        f"RT {somebody}: {text}",
        f"{somebody} {text}",
        f"RT {somebody}: {cut}… {url[:15]}…",
        f"{text} {emoji}{emoji} {' '.join(hashtags)}",
        f"{text}\n\n{hashtags[0]}\n{url}",
        f'"{text}" {url}',
        f"{text} {somebody} &amp; {handle(rng)}",
        f"{hashtags[0]} {text} {url}",
    )
    return dresses[kind % len(dresses)]


def _mislabel(tweets: list[Tweet], rng: np.random.Generator) -> list[Tweet]:
    """Hand some labels on to the next sentiment: as many of each, with one picture each, so all stay balanced."""
    single = [[i for i, t in enumerate(tweets) if t.sentiment == s and len(t.subjects) == 1] for s in range(3)]
    count = min(round(SENTIMENT_NOISE * len(tweets) / 3), *map(len, single))
    result = list(tweets)
    for sentiment, candidates in enumerate(single):
        for i in rng.choice(candidates, count, replace=False):
            result[i] = replace(tweets[i], sentiment=(sentiment + 1) % 3)
    return result
