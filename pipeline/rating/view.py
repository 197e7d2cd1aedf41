"""What a rater sees of a task, as HTML. Media stand in the page itself: the server hands out no files.

Nothing in it tells the label, the row, or what the teachers said; and of what is to be judged by ear or eye alone
there is no text.
"""

import html
import io

from PIL import Image

from pipeline.media.data_uri import data_uri
from pipeline.rating.session import Shown
from pipeline.rating.turns import Progress


def task(shown: Shown) -> str:
    """The question, the picture and the player; or why there is nothing to ask."""
    if shown.condition is None:
        return _nothing(shown.progress)
    parts = [f'<h2 class="rate-question" aria-live="polite">{html.escape(shown.condition.question)}</h2>']
    if shown.image is not None:
        parts.append(f'<img class="rate-picture" alt="The picture to judge" src="{_picture_uri(shown.image)}">')
    if shown.speech is not None:
        source = f'src="{data_uri("audio/flac", shown.speech)}"'
        parts.append(f'<audio class="rate-player" aria-label="The voice to judge" controls autoplay {source}></audio>')
    return f'<div class="rate-task">{"".join(parts)}</div>'


def progress(now: Progress) -> str:
    """A bar and its words."""
    total = now.done + now.ready
    share = 100 * now.done / total if total else 0
    more = f"; {now.waiting} more wait for a reading by another person" if now.waiting else ""
    return (
        f'<div class="rate-progress"><div class="rate-bar" role="progressbar" aria-label="Progress" aria-valuemin="0" '
        f'aria-valuemax="{total}" aria-valuenow="{now.done}"><div style="width: {share:.1f}%"></div></div>'
        f"<span>{now.done} of {total} done{more}</span></div>"
    )


def text(words: str | None) -> str:
    """What is to be read aloud, if anything."""
    if words is None:
        return '<p class="rate-text">Every text has been read aloud. Thank you.</p>'
    return f'<blockquote class="rate-text">{html.escape(words)}</blockquote>'


def _nothing(now: Progress) -> str:
    reason = "You have judged every row. Thank you."
    if now.waiting:
        reason = f"{now.waiting} judgements wait until another person has read the texts aloud: see the next tab."
    title = '<h2 class="rate-question" aria-live="polite">Nothing to judge now</h2>'
    return f'<div class="rate-task">{title}<p>{reason}</p></div>'


def _picture_uri(data: bytes) -> str:
    with Image.open(io.BytesIO(data)) as opened:  # from data/sier, whose pictures were decoded when it was made
        return data_uri(Image.MIME[opened.format or "JPEG"], data)
