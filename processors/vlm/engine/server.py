"""A server with the OpenAI chat completions API as the engine: vLLM, llama.cpp, Ollama and others."""

import logging
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait

import httpx2

from processors.remote.client import NOT_UNDERSTOOD, TRIES, Server, SlowAnswer, error_text
from processors.vlm import families
from processors.vlm.engine.completion import read_completion, write_request
from processors.vlm.families import Family
from processors.vlm.options import VlmOptions
from processors.vlm.types import PageAnswer, PageRequest, StopReason

_SERVER_ERROR = 500  # the first status of a server error
_TOO_LONG = ("context length", "context size", "context window", "too long", "too large", "maximum model length")
_HEARTBEAT_SECONDS = 1.0
# Fields of a request that not all servers support, in the order in which they are tried. OpenAI's own rejects unknown
# ones; vLLM applies the penalty of the model's author unless a request sets another.
_FEATURES = (
    ("response_format", "logprobs", "repetition_penalty"),
    ("response_format", "logprobs"),
    ("response_format", "repetition_penalty"),
    ("response_format",),
    ("logprobs", "repetition_penalty"),
    ("logprobs",),
    (),
)

log = logging.getLogger(__name__)


class ServerEngine:
    """The servers of one model. See `types.VlmEngine`."""

    is_concurrent = True

    def __init__(self, options: VlmOptions, family: Family | None = None):
        self.family = family or families.find(name=options.model)
        self.max_pixels = options.pixels(self.family)
        self.max_pixels_of_money = options.pixels_of_money(self.family, "cpu")
        self._server = Server(options, "model server", "processors.vlm", slots=options.at_once)
        self.pages_at_once = options.at_once * len(options.base_urls)
        self.device_name = self._server.name
        self.made_by = {"model": options.model, "server": self._server.name, "max_pixels": self.max_pixels}
        self._model = options.model
        self._features = list(_FEATURES)
        self._lock = threading.Lock()  # of `_features`

    @classmethod
    def load(cls, options: VlmOptions) -> "ServerEngine":
        """Connect to the servers of `options`.

        Raises:
            Unavailable: none responds, or the API key is missing.
        """
        engine = cls(options)
        served = engine._served()
        if served and options.model not in served:
            log.warning("%s serves %s, not %s; trying it anyway", engine.device_name, ", ".join(served), options.model)
        return engine

    def close(self) -> None:
        self._server.close()

    def answer(self, requests: Sequence[PageRequest], heartbeat: Callable[[], None]) -> list[PageAnswer]:
        """Return the answers to `requests`, in their order; send at most `pages_at_once` at a time.

        Raises:
            Unavailable: the server is unavailable, overloaded or rejects the key.
        """
        with ThreadPoolExecutor(max_workers=self.pages_at_once, thread_name_prefix="request") as threads:
            asked = [threads.submit(self.answer_one, request) for request in requests]
            waiting = set(asked)
            while waiting:
                heartbeat()
                done, waiting = wait(waiting, timeout=_HEARTBEAT_SECONDS, return_when=FIRST_EXCEPTION)
                if any(future.exception() for future in done):
                    for future in waiting:
                        future.cancel()
                    break
        return [future.result() for future in asked if not future.cancelled()]

    def answer_one(self, request: PageRequest) -> PageAnswer:
        """The answer to one request.

        Raises:
            Unavailable: see `answer`.
        """
        size = request.image.size if request.image is not None else None
        for features in list(self._features):
            response = self._post(write_request(self._model, request, features, self.family.template))
            if isinstance(response, str):
                return failed(response, size)
            if response.status_code in NOT_UNDERSTOOD and features and not _says_too_long(response):
                continue  # repeated without features that the server may not support
            if response.status_code != 200:
                return self._failed(response, size)
            self._remember(features)
            try:
                return read_completion(response.json(), size, has_schema=request.json_schema is not None)
            except (ValueError, LookupError, TypeError, AttributeError, OverflowError, RecursionError):
                log.warning("%s: the response is not a chat completion", self.device_name, exc_info=True)
                return failed("The server's response is not a chat completion. See the server's log.", size)
        raise AssertionError("the last of `_features` is empty")

    def _remember(self, features: tuple[str, ...]) -> None:
        """Do not try the features again that the server did not support before `features`."""
        with self._lock:
            if features in self._features and self._features[0] != features:
                log.warning("the server does not support %s", " and ".join({*self._features[0]} - {*features}))
                self._features = self._features[self._features.index(features) :]

    def _failed(self, response: httpx2.Response, size: tuple[int, int] | None) -> PageAnswer:
        """The answer for a final error response, if it concerns only this page.

        Raises:
            Unavailable: it concerns all pages.
        """
        match response.status_code:
            case 401 | 403:
                raise self._server.unauthorized(response)
            case 404:
                served = ", ".join(self._served()) or "nothing"
                what = f"{self._model} ({error_text(response)}); it serves {served}"
                raise self._server.model_not_found(response, what)
            case 400 | 413 | 422 if _says_too_long(response):
                return failed(error_text(response), size, StopReason.NO_ROOM)
        return failed(f"The model server reported: {response.status_code} {error_text(response)}", size)

    def _post(self, body: dict[str, object]) -> httpx2.Response | str:
        """The final response; a message if the server works but has none for this request.

        Raises:
            Unavailable: it is unavailable or overloaded.
        """
        try:
            response = self._server.ask(
                lambda client: client.post("chat/completions", json=body),
                is_transient=lambda response: response.status_code >= _SERVER_ERROR,
            )
        except SlowAnswer:
            return "The model server did not respond in time. Raise `request_timeout`, or lower `max_new_tokens`."
        if response.status_code >= _SERVER_ERROR:
            return f"The model server failed {TRIES} times: {response.status_code} {error_text(response)}"
        return response

    def _served(self) -> list[str]:
        """The names of the models on the server.

        Raises:
            Unavailable: it does not respond.
        """
        try:
            return [model["id"] for model in self._server.models().json()["data"]]
        except (ValueError, LookupError, TypeError):
            return []  # not all servers have such a list


def failed(why: str, size: tuple[int, int] | None, reason: StopReason = StopReason.ERROR) -> PageAnswer:
    return PageAnswer(
        text="",
        stop_reason=reason,
        tokens=0,
        prompt_tokens=0,
        lowest_token_probability=None,
        size_seen=size,
        error=why,
    )


def _says_too_long(response: httpx2.Response) -> bool:
    """True if the server rejects prompt and page as too long. There is no error code for this, only a text."""
    return any(words in error_text(response).lower() for words in _TOO_LONG)
