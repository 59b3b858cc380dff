"""config.toml: its keys, how they are read and checked, and how mistakes are reported."""

from daemon.config.description import changes, describe
from daemon.config.loader import default_home, load, load_again, load_paths, parse, read
from daemon.config.settings import Folder, Recipe, Settings

__all__ = [
    "Folder",
    "Recipe",
    "Settings",
    "changes",
    "default_home",
    "describe",
    "load",
    "load_again",
    "load_paths",
    "parse",
    "read",
]
