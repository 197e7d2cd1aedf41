"""Tiny corpora in the exact published formats, defects included, shared by all tests.

`build_b_t4sa`, `build_iemocap`, `build_fi` and `build_emoset` write real files below a folder and return it. All are
deterministic; pictures and sounds come from a seed.
"""

from __future__ import annotations

from tests.builders_b_t4sa import Tweet, build_b_t4sa, defect_tweets, plain_tweets
from tests.builders_fi import EmoSetRow, Picture, build_emoset, build_fi, plain_pictures
from tests.builders_iemocap import Turn, build_iemocap, plain_turns, tone
from tests.builders_pictures import encode, jpeg, near_duplicate, one_pixel, picture, placeholder, png, truncated_jpeg

__all__ = [
    "EmoSetRow",
    "Picture",
    "Turn",
    "Tweet",
    "build_b_t4sa",
    "build_emoset",
    "build_fi",
    "build_iemocap",
    "defect_tweets",
    "encode",
    "jpeg",
    "near_duplicate",
    "one_pixel",
    "picture",
    "placeholder",
    "plain_pictures",
    "plain_turns",
    "plain_tweets",
    "png",
    "tone",
    "truncated_jpeg",
]
