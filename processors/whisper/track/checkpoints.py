"""What was heard, kept across the attempts at a job (see `processors.checkpoints`): a crash costs what it came in."""

from collections.abc import Sequence
from typing import Any, Protocol

from processors.checkpoints import Parts
from processors.whisper.track.interleaving import Ask

VERSION = 3  # of what is kept, and of how windows are decoded; another one is not read
_DIGITS = 24


class Asked(Protocol):
    """A window, or a whole part: what an engine is asked to hear."""

    def digest(self) -> bytes:
        """Of all that decides what is heard: its sound, what is told before it, how it is decoded."""

    def pack(self, result: Any) -> dict[str, Any] | None:
        """The result as JSON; None: it is not worth keeping."""

    def unpack(self, kept: dict[str, Any]) -> Any:
        """
        Raises:
            KeyError, TypeError: that was never packed.
        """


def keeping(parts: Parts, ask: Ask) -> Ask:
    """`ask`, which is not asked for what an earlier attempt heard."""

    def answer(asked: Sequence[Asked]) -> list[Any]:
        names = [f"heard-{each.digest().hex()[:_DIGITS]}" for each in asked]
        found = [_read(parts.get(name), each) for name, each in zip(names, asked, strict=True)]
        missing = [number for number, result in enumerate(found) if result is None]
        if missing:
            for number, result in zip(missing, ask([asked[number] for number in missing]), strict=True):
                found[number] = result
                packed = asked[number].pack(result)
                if packed is not None:
                    parts.put(names[number], packed)
        return found

    return answer


def _read(kept: Any, asked: Asked) -> Any | None:
    try:
        return None if kept is None else asked.unpack(kept)
    except (KeyError, TypeError):
        return None
