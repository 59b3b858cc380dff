"""The files that come with inboxd: config.toml, units, samples, man page and documentation.

A clone has them where people look for them; a wheel has copies of them in `daemon/resources` (see `wheel`).
"""

from pathlib import Path

import daemon

_IN_WHEEL = Path(daemon.__file__).parent / "resources"
_CLONE = Path(daemon.__file__).parents[1]

ROOT = _IN_WHEEL if _IN_WHEEL.is_dir() else _CLONE  # contains config.toml, systemd/, samples/, docs/ and README.md
CODE = Path(daemon.__file__).parents[1]  # contains the packages `daemon` and `processors`
IS_CLONE = ROOT == _CLONE


def read(name: str) -> str:
    """The text of one of the files, such as "systemd/inboxd.service"."""
    return (ROOT / name).read_text(encoding="utf-8")
