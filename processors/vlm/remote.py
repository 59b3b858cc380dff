"""Questions answered by a server that speaks OpenAI's chat completions: vLLM, llama.cpp, Ollama and others.

Goes to `base_url` and nowhere else: no proxy of the environment is used, no redirection followed. The API key is sent
as its header, and kept out of logs and results.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from typing import Any

import httpx2

from processors.base import Unavailable
from processors.servers import BUSY, asked_pause, read_key
from processors.servers import said as said_by
from processors.vlm.completion import read_completion, write_request
from processors.vlm.options import VlmOptions
from processors.vlm.question import Answer, Question, StopReason

_TRIES = 4  # of a request that the server may well answer a moment later
_FIRST_PAUSE_SECONDS, _LONGEST_PAUSE_SECONDS = 0.5, 30.0
_NOT_UNDERSTOOD = {400, 415, 422, 501}  # what servers say to a parameter that they do not know
_TOO_LONG = ("context length", "context size", "context window", "too long", "too large", "maximum model length")
_CONNECT_SECONDS = 10.0
_SIGN_SECONDS = 1.0

log = logging.getLogger(__name__)


class RemoteEngine:
    """One server and model. See `question.Engine`."""

    def __init__(self, options: VlmOptions, key: str | None):
        self.max_pixels, self.pages_at_once = options.max_pixels, options.pages_at_once
        self.device_name = options.base_url
        self.made_by = {"model": options.model, "server": options.base_url, "max_pixels": options.max_pixels}
        self._model = options.model
        self._features = [("response_format", "logprobs"), ("response_format",), ("logprobs",), ()]  # first: best
        self._lock = threading.Lock()  # of `_features`
        logging.getLogger("httpx2").setLevel(logging.WARNING)  # else a line for each request
        self._client = httpx2.Client(
            base_url=options.base_url,
            headers={"Authorization": f"Bearer {key}"} if key else {},
            timeout=httpx2.Timeout(options.request_timeout, connect=_CONNECT_SECONDS),
            limits=httpx2.Limits(max_connections=options.pages_at_once + 1),
            trust_env=False,
            follow_redirects=False,
        )

    @classmethod
    def load(cls, options: VlmOptions) -> "RemoteEngine":
        """The server of `options`, which must answer.

        Raises:
            Unavailable: it does not, or there is no key.
        """
        engine = cls(options, read_key(options.api_key_env, options.api_key_file))
        served = engine._served()
        if served and options.model not in served:
            log.warning("%s serves %s, not %s; asked all the same", options.base_url, ", ".join(served), options.model)
        return engine

    def close(self) -> None:
        self._client.close()

    def answer(self, questions: Sequence[Question], alive: Callable[[], None]) -> list[Answer]:
        """The answers to `questions`, in their order, at most `pages_at_once` asked at a time.

        Raises:
            Unavailable: the server is away, overloaded or refuses the key.
        """
        with ThreadPoolExecutor(max_workers=self.pages_at_once, thread_name_prefix="question") as threads:
            asked = [threads.submit(self._answer, question) for question in questions]
            waiting = set(asked)
            while waiting:
                alive()
                done, waiting = wait(waiting, timeout=_SIGN_SECONDS, return_when=FIRST_EXCEPTION)
                if any(future.exception() for future in done):
                    for future in waiting:
                        future.cancel()
                    break
        return [future.result() for future in asked if not future.cancelled()]

    def _answer(self, question: Question) -> Answer:
        size = question.image.size if question.image is not None else None
        for features in list(self._features):
            response = self._post(write_request(self._model, question, features))
            if isinstance(response, str):
                return _failed(response, size)
            if response.status_code in _NOT_UNDERSTOOD and features and not _says_too_long(response):
                continue  # asked again without what it may not know
            if response.status_code != 200:
                return self._failed(response, size)
            self._remember(features)
            try:
                return read_completion(response.json(), size, has_schema=question.json_schema is not None)
            except (ValueError, LookupError, TypeError, AttributeError) as error:
                return _failed(f"The server's answer is no chat completion ({error!r}).", size)
        raise AssertionError("the last of `_features` is empty")

    def _remember(self, features: tuple[str, ...]) -> None:
        """What is better than `features` was not understood: it is not tried again."""
        with self._lock:
            if features in self._features and self._features[0] != features:
                log.warning("the server understands no %s", " and ".join({*self._features[0]} - {*features}))
                self._features = self._features[self._features.index(features) :]

    def _failed(self, response: httpx2.Response, size: tuple[int, int] | None) -> Answer:
        """What a final refusal means: for this page, or (raised) for all.

        Raises:
            Unavailable: for all.
        """
        said = said_by(response)
        match response.status_code:
            case 401 | 403:
                raise Unavailable(
                    f"The model server {self.device_name} refuses the API key ({said}). Correct `api_key_env` or "
                    "`api_key_file` in [processors.vlm], or what they name."
                )
            case 404:
                served = ", ".join(self._served()) or "nothing"
                raise Unavailable(
                    f"The model server {self.device_name} does not know {self._model} ({said}); it serves {served}. "
                    "Correct `model` or `base_url` in [processors.vlm]."
                )
            case 400 | 413 | 422 if _says_too_long(response):
                return _failed(said, size, StopReason.NO_ROOM)
        return _failed(f"The model server says: {response.status_code} {said}", size)

    def _post(self, body: dict[str, Any]) -> httpx2.Response | str:
        """The server's last word; a text if it has none for this one though it works.

        Raises:
            Unavailable: it is away or overloaded.
        """
        pause = _FIRST_PAUSE_SECONDS
        for left in reversed(range(_TRIES)):
            try:
                response = self._client.post("chat/completions", json=body)
            except httpx2.ReadTimeout:
                self._served()  # raises if it hangs altogether
                return "The model server gave no answer in time. Raise `request_timeout`, or lower `max_new_tokens`."
            except httpx2.TransportError as error:
                why = error
            else:
                if response.status_code < 500 and response.status_code not in BUSY:
                    return response
                why = f"{response.status_code} {said_by(response)}"
                pause = asked_pause(response) or pause
                if not left and response.status_code not in BUSY:
                    return f"The model server failed {_TRIES} times: {why}"
            if left:
                time.sleep(min(pause, _LONGEST_PAUSE_SECONDS))
                pause *= 2
        raise Unavailable(self._away(why))

    def _served(self) -> list[str]:
        """The names of the models that the server has.

        Raises:
            Unavailable: it does not answer.
        """
        try:
            response = self._client.get("models", timeout=_CONNECT_SECONDS)
        except httpx2.TransportError as error:
            raise Unavailable(self._away(error)) from error
        if response.status_code in (401, 403):
            self._failed(response, None)
        if response.status_code in BUSY:
            raise Unavailable(self._away(f"{response.status_code} {said_by(response)}"))
        try:
            return [model["id"] for model in response.json()["data"]]
        except (ValueError, LookupError, TypeError):
            return []  # not all servers have such a list

    def _away(self, why: object) -> str:
        return (
            f"The model server {self.device_name} does not answer ({why}). Start it, or correct `base_url` in "
            "[processors.vlm]; the jobs wait."
        )


def _failed(why: str, size: tuple[int, int] | None, reason: StopReason = StopReason.ERROR) -> Answer:
    return Answer(
        text="",
        stop_reason=reason,
        tokens=0,
        prompt_tokens=0,
        lowest_token_probability=None,
        size_seen=size,
        error=why,
    )


def _says_too_long(response: httpx2.Response) -> bool:
    """Is it the length of prompt and page that the server objects to? There is no code for it, only words."""
    return any(words in said_by(response).lower() for words in _TOO_LONG)
