"""The SIER pipeline: a stage a module, and the packages that help them."""

import sys
from itertools import pairwise

# Commands were modules of this package once, and `python -m pipeline.publish` stands in people's scripts.
_MOVED = ("check", "plan", "predict", "publish", "rate", "rebuild", "summary", "verify")
for _place, (_flag, _module) in enumerate(pairwise(sys.orig_argv), 2):
    _command = _module.removeprefix("pipeline.")
    _is_explain = _module == "pipeline.explain" and len(sys.orig_argv) > _place  # the stage takes no arguments
    if _flag == "-m" and ((_module != _command and _command in _MOVED) or _is_explain):
        sys.exit(f"{_module} has moved; run: sier {_command}")
