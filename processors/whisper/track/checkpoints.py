"""Finished windows or parts, saved across the attempts of a job (see `processors.checkpoints`): after a crash, only the
unfinished ones are decoded again."""

from collections.abc import Generator, Mapping, Sequence
from typing import Any, Protocol, TypeVar

from processors.checkpoints import Checkpoints
from processors.whisper.track import interleaving

VERSION = 4  # of the format, and of how windows are decoded; checkpoints of another version are not read
_DIGITS = 24

ResultT = TypeVar("ResultT")


class Request(Protocol):
    """A window or a complete part that an engine decodes."""

    def digest(self) -> bytes:
        """A hash of all that the result depends on: sound, prompt, options."""

    def pack(self, result: Any) -> dict[str, object] | None:
        """The result as JSON; None: not worth saving."""

    def unpack(self, saved: Mapping[str, Any]) -> object:
        """The result that `pack` gave these values.

        Raises:
            KeyError, TypeError: `pack` never gave these values.
        """


Requests = Generator[Sequence[Any], Sequence[Any], ResultT]  # of `Request`s, and their results


def resume(saved: Checkpoints, job: Requests[ResultT]) -> Requests[ResultT]:
    """The same job, without the requests that an earlier attempt finished."""

    def answer(requests: Sequence[Request]) -> Requests[list[object]]:
        names = [f"decoded-{request.digest().hex()[:_DIGITS]}" for request in requests]
        results = [_read(saved.get(name), request) for name, request in zip(names, requests, strict=True)]
        missing = [number for number, result in enumerate(results) if result is None]
        if missing:
            found = yield [requests[number] for number in missing]
            for number, result in zip(missing, found, strict=True):
                results[number] = result
                packed = requests[number].pack(result)
                if packed is not None:
                    saved.put(names[number], packed)
        return results

    return interleaving.intercept(job, answer)


def _read(saved: Any, request: Request) -> object | None:
    try:
        return None if saved is None else request.unpack(saved)
    except (KeyError, TypeError):
        return None
