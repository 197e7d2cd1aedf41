"""What a model is asked about each item, and what its answer means.

In   RGB pictures, or texts as heard
Out  the body of a chat completion; an `Answer`
"""

import base64
import hashlib
import io
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import Any, Literal

from PIL import Image

from models.teachers.endpoint.answers import (
    CLASSES_PLACE,
    WORDS_PLACE,
    Structured,
    class_named,
    probabilities,
    response_format,
    shown,
)
from models.teachers.endpoint.cache import Answer
from models.teachers.endpoint.client import REFUSED

UNUSABLE = "endpoint_unusable"
JPEG_QUALITY = 90
VERSION = 1  # of how items are asked about and answers are read: another one asks anew


@dataclass(frozen=True)
class Question:
    """What is asked of every item."""

    model: str
    prompt: str
    classes: tuple[str, ...]
    features: Literal["acoustic", "linguistic"]  # `linguistic`: about words heard; else about pictures
    structured: Structured
    top_logprobs: int
    tokens_max: int
    image_side_px_max: int

    @cached_property
    def digest(self) -> str:
        """sha256, hex."""
        return hashlib.sha256(json.dumps([VERSION, asdict(self)], sort_keys=True).encode()).hexdigest()

    def key(self, item: Any) -> str:
        """The same for items with the same content."""
        content = item.encode() if isinstance(item, str) else f"{item.size}".encode() + item.tobytes()
        return hashlib.sha256(self.digest.encode() + content).hexdigest()

    def about(self, item: Any) -> dict[str, Any]:
        """The body of a chat completion about an item."""
        text = self.prompt.replace(CLASSES_PLACE, ", ".join(self.classes))
        content: Any
        if self.features == "linguistic":
            content = text.replace(WORDS_PLACE, item)
        else:
            picture = {"type": "image_url", "image_url": {"url": _data_url(item, self.image_side_px_max)}}
            content = [{"type": "text", "text": text}, picture]
        body: dict[str, Any] = {
            "model": self.model, "messages": [{"role": "user", "content": content}], "temperature": 0, "seed": 0,
            "max_tokens": self.tokens_max,
        }  # fmt: skip
        if self.structured == "json_schema":
            body["response_format"] = response_format(self.classes)
        if self.top_logprobs:
            body |= {"logprobs": True, "top_logprobs": self.top_logprobs}
        return body

    def understood(self, value: Mapping[str, Any]) -> Answer:
        """What the endpoint's answer means."""
        usage = value.get("usage")
        usage = usage if isinstance(usage, dict) else {}
        none = Answer(
            None, prompt_tokens=_count(usage.get("prompt_tokens")),
            completion_tokens=_count(usage.get("completion_tokens")),
        )  # fmt: skip
        try:
            choice = value["choices"][0]
            message = choice["message"]
            text, refused = message.get("content"), message.get("refusal")
        except (KeyError, IndexError, TypeError, AttributeError):
            return replace(none, status=UNUSABLE, reason="answered without a message")
        if refused:
            return replace(none, status=REFUSED, reason=f"refused: {shown(str(refused))}")
        if choice.get("finish_reason") == "content_filter":
            return replace(none, status=REFUSED, reason="refused by a filter of the endpoint")
        text = text if isinstance(text, str) else ""
        said = class_named(text, self.classes, self.structured)
        if said is None:
            reason = f"answered {shown(text)!r}, expected one of {', '.join(self.classes)}"
            return replace(none, status=UNUSABLE, reason=reason)
        listed = choice.get("logprobs")
        listed = listed.get("content") if isinstance(listed, dict) else None
        told = probabilities(text, listed, said, self.classes, self.structured)
        return replace(none, said=said, probabilities=told)


def _data_url(picture: Image.Image, side_px_max: int) -> str:
    small = picture.copy()
    small.thumbnail((side_px_max, side_px_max), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    small.save(buffer, "JPEG", quality=JPEG_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


def _count(value: Any) -> int:
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**40 else 0
