"""config.toml: which keys there are, how they are read and checked, what is reported of a mistake."""

from daemon.config.settings import (
    Folder,
    Recipe,
    Settings,
    changes,
    describe,
    load,
    load_again,
    load_paths,
    parse,
    read,
)

__all__ = [
    "Folder",
    "Recipe",
    "Settings",
    "changes",
    "describe",
    "load",
    "load_again",
    "load_paths",
    "parse",
    "read",
]
