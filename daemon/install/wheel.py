"""The build of wheels, which pyproject.toml names: copies the files that `resources` describes into the package.

Not used by a clone or an editable installation, which read the originals.
"""

import shutil
from pathlib import Path

from setuptools.command.build_py import build_py

RESOURCES = ("config.toml", "README.md", "systemd/**/*", "samples/**/*", "docs/*.md", "docs/*.1", "docs/*.json")
_TARGET = Path("daemon/resources")


class BuildWithResources(build_py):
    """Build the packages, with the resources in `daemon/resources`."""

    def run(self) -> None:
        if self.editable_mode:
            super().run()
            return
        shutil.rmtree(self.build_lib, ignore_errors=True)  # it would add the modules that were removed since
        super().run()
        for source, target in self._copies().items():
            self.mkpath(str(Path(target).parent))
            self.copy_file(source, target)

    def get_source_files(self) -> list[str]:
        """The files that a source distribution needs for this build."""
        return [*super().get_source_files(), *self._copies()]

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        return [*super().get_outputs(include_bytecode), *self._copies().values()]

    def _copies(self) -> dict[str, str]:
        """The targets in the build folder, by source."""
        found = (path for pattern in RESOURCES for path in sorted(Path().glob(pattern)))
        files = [path for path in found if path.is_file() and "__pycache__" not in path.parts]
        return {str(path): str(Path(self.build_lib) / _TARGET / path) for path in files}
