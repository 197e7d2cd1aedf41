"""What raters agree to before they are asked anything, and by which version of it is known what they agreed to."""

import hashlib
from importlib.resources import files

TEXT = files("pipeline.rating").joinpath("consent.md").read_text(encoding="utf-8")
VERSION = hashlib.sha256(TEXT.encode()).hexdigest()[:16]  # of another text there is another consent
ASKED = "Please read the text, and tick that you agree to it."
MISSING = "Before you go on, please agree to what is kept of you: load the page again."
