"""The data of several pages, or halves of one, as those of one document. Pure; what it decides is told."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from processors.vlm.assess.answer import is_void


@dataclass(kw_only=True)
class Merged:
    data: Any = None  # None: nothing was there to merge
    conflicts: list[str] = field(default_factory=list)  # "$.total: 12.30 on page 1, 13.20 on page 2"; the first counts


def merge(pages: Sequence[tuple[str, Any]]) -> Merged:
    """Lists are joined in order, a value of one page fills what another leaves empty, and of two that differ the first
    counts, which is told. `pages`: what each is called ("page 1"), and its data."""
    merged = Merged()
    origins: dict[str, str] = {}
    for name, data in pages:
        merged.data = _join(merged.data, data, "$", name, origins, merged.conflicts)
    return merged


def _join(old: Any, new: Any, path: str, name: str, origins: dict[str, str], conflicts: list[str]) -> Any:
    if isinstance(old, dict) and isinstance(new, dict):
        keys = dict.fromkeys([*old, *new])
        return {key: _join(old.get(key), new.get(key), f"{path}.{key}", name, origins, conflicts) for key in keys}
    if isinstance(old, list) and isinstance(new, list):
        return old + new
    if is_void(new) and old is not None:
        return old
    if is_void(old):
        origins[path] = name
        return new
    if old != new:
        conflicts.append(f"{path}: {old} on {_origin(path, origins)}, {new} on {name}")
    return old


def _origin(path: str, origins: dict[str, str]) -> str:
    """Where the value at `path` comes from: with what held it, if not by itself."""
    while path not in origins:
        path = path.rpartition(".")[0]
        if not path:
            return "an earlier page"
    return origins[path]
