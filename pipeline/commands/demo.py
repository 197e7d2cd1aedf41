"""A page where one can try the project: a picture with a text or a recording, and what is made of them.

    sier demo [--model data/checkpoints/parallelnet]    on this machine; Ctrl-C ends it

The project's voice says the text, both teachers judge, the rule makes a label, the network answers, and a button draws
what its answer rests on. It needs a finished run. Who serves others than this machine must give SIER_DEMO_SECRET a
value; visitors log in with it. Nothing is kept, sent elsewhere or downloaded.
"""

import argparse
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from pipeline.commands.command import UsageError
from pipeline.commands.given_files import DEFAULT_MODEL
from pipeline.engine import lifecycle
from pipeline.errors import UserError
from pipeline.frame.params import PARAMS_FILE, read_params, section
from pipeline.frame.stage import Paths
from pipeline.rating.uploads import Uploads
from pipeline.tweets.params import CleanParams

PORT = 7861


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What can be given."""
    parser.add_argument("--model", type=Path, default=DEFAULT_MODEL, help="folder of a network (default: %(default)s)")
    parser.add_argument("--host", default="127.0.0.1", help="address to serve (default: %(default)s)")
    parser.add_argument("--port", type=int, default=PORT, help="default: %(default)s")


def run(options: argparse.Namespace) -> None:
    """Serve the page."""
    if not 0 <= options.port <= 65_535:
        raise UsageError(f"--port {options.port}: expected 0 (any free one) to 65535")
    if find_spec("gradio") is None:
        raise UserError("gradio is not installed; run: pip install -e '.[rate]'")
    paths = Paths(Path())
    file_bytes_max = section(read_params(paths.root / PARAMS_FILE), "clean", CleanParams).image.max_bytes

    def build(uploads: Uploads, _logged_in: bool) -> Any:
        from pipeline.demo import app  # noqa: PLC0415 - imports Gradio, which takes seconds

        return app.build(studio, uploads)

    def look() -> dict[str, Any]:
        from pipeline.demo import app  # noqa: PLC0415

        return app.look()

    from pipeline.rating import server  # noqa: PLC0415

    site = server.Site("demo", build, look, file_bytes_max, "SIER_DEMO_SECRET")
    listening, secret = server.listen(site, options.host, options.port)
    with listening, lifecycle.only_run(paths.work / "demo.lock"):
        print("demo: loading voice, recogniser, teachers and network", file=sys.stderr, flush=True)
        from pipeline.demo.studio import Studio  # noqa: PLC0415 - torch and the like take seconds

        studio = Studio(paths, options.model)
        print(f"demo: {server.address(listening)} - nothing is kept; Ctrl-C ends", flush=True)
        server.serve(site, listening, secret, paths.work / "demo")
