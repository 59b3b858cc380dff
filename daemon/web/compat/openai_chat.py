"""OpenAI's /v1/chat/completions for a question about one image or PDF, without memory between requests.

Reference: https://platform.openai.com/docs/api-reference/chat. `temperature` and `top_p` have no effect.
"""

import base64
import json
import re
import time
from collections.abc import AsyncIterator, Mapping

from pydantic import BaseModel, JsonValue, ValidationError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from daemon.config.settings import Settings
from daemon.web.backend import Backend, backend_of
from daemon.web.compat.openai import bad_parameter, unknown_model
from daemon.web.compat.streams import stream
from daemon.web.compat.work import Finished, has_option, recipes_for, submit, wait_for
from daemon.web.errors import WebError
from processors.contract import Kind

_ASK = "ask"  # the recipe for questions, if a request names no recipe of config.toml
_VISION_NAMES = ("gpt-4o", "gpt-4o-mini", "gpt-4.1", "gpt-4.1-mini")
_MAX_CHAT_BYTES = 64 * 2**20
_DATA_URL = re.compile(r"data:([a-z0-9.+/-]{0,100})(?:;[a-z0-9=._-]{0,100})*;base64,", re.IGNORECASE)
_SUFFIXES = {"application/pdf": ".pdf", "image/jpeg": ".jpg"}


class _Part(BaseModel):
    """A part of a message."""

    type: str
    text: str = ""
    image_url: dict[str, JsonValue] | str | None = None
    file: dict[str, JsonValue] | None = None

    def url(self) -> str:
        """The data: URL of an image or a file."""
        if self.type == "file":
            return str((self.file or {}).get("file_data", ""))
        return str(self.image_url.get("url", "") if isinstance(self.image_url, dict) else self.image_url)


class _Message(BaseModel):
    role: str
    content: str | list[_Part] | None = None

    def parts(self) -> list[_Part]:
        return [_Part(type="text", text=self.content)] if isinstance(self.content, str) else self.content or []


class _Chat(BaseModel):
    """The fields of a request that inboxd uses, and those that make it refuse the request."""

    model: str = ""
    messages: list[_Message]
    stream: bool = False
    max_completion_tokens: int | None = None
    max_tokens: int | None = None
    n: int | None = None
    tools: list[JsonValue] | None = None
    functions: list[JsonValue] | None = None


async def complete(request: Request) -> Response:
    """Answer a question about one image or PDF, without memory between requests."""
    backend = backend_of(request)
    backend.require_daemon()
    chat = await _read_chat(request)
    recipe = _vision_recipe(backend.settings, chat.model)
    question, media_type, content = _question(chat)
    options: dict[str, JsonValue] = {"recipe": recipe}
    most = chat.max_completion_tokens or chat.max_tokens
    if most is not None and has_option(backend.settings, recipe, "max_new_tokens"):
        options["max_new_tokens"] = most
    job_id = await _submit_bytes(backend, content, media_type, options, question)
    head = {"id": f"chatcmpl-{job_id}", "created": int(time.time()), "model": chat.model or recipe}
    if chat.stream:
        return stream(_chunks(request, job_id, head), job_id, end="[DONE]")
    finished = await wait_for(request, job_id)
    message = {"role": "assistant", "content": await _reply(finished), "refusal": None}
    choices = [_choice(message=message, finish_reason="stop")]
    review = json.loads(finished.row["review"] or "[]")
    answer = {**head, "object": "chat.completion", "choices": choices, "inboxd": {"job": job_id, "review": review}}
    return JSONResponse(answer, headers=finished.headers)


async def _chunks(request: Request, job_id: str, head: Mapping[str, object]) -> AsyncIterator[dict[str, object]]:
    delta = {"role": "assistant", "content": await _reply(await wait_for(request, job_id))}
    for choice in (_choice(delta=delta, finish_reason=None), _choice(delta={}, finish_reason="stop")):
        yield {**head, "object": "chat.completion.chunk", "choices": [choice]}


def _choice(**fields: object) -> dict[str, object]:
    return {"index": 0, "logprobs": None, **fields}


async def _read_chat(request: Request) -> _Chat:
    collected = bytearray()
    async for chunk in request.stream():
        collected += chunk
        if len(collected) > _MAX_CHAT_BYTES:
            what = f"The request is larger than {_MAX_CHAT_BYTES} bytes."
            raise WebError(413, "too_large", what, "Send larger files to /api/v1/files.")
    try:
        chat = _Chat.model_validate_json(bytes(collected))
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "the body"
        raise WebError(400, "bad_request", f"{where}: {first['msg']}.") from error
    if chat.tools or chat.functions:
        raise WebError(400, "unsupported", "Tools are not supported.")
    if chat.n not in (None, 1):
        raise bad_parameter("n", chat.n, "inboxd returns only one answer.")
    return chat


def _vision_recipe(settings: Settings, model: str) -> str:
    known = [name for name in recipes_for(settings, Kind.IMAGE) if has_option(settings, name, "prompt")]
    name = _ASK if model in ("", *_VISION_NAMES) else model
    if name not in known:
        raise unknown_model(model or _ASK, known)
    return name


def _question(chat: _Chat) -> tuple[str, str, bytes]:
    """Return the text of a conversation, and the media type and content of its one image or PDF.

    Raises:
        WebError: the messages have no text, not exactly one image or PDF, or only its URL.
    """
    words: list[str] = []
    media: list[str] = []
    for message in chat.messages:
        parts = message.parts()
        if other := [part.type for part in parts if part.type not in ("text", "image_url", "file")]:
            raise WebError(400, "unsupported", f"Parts of the type {other[0][:50]!r} are not supported.")
        media += [part.url() for part in parts if part.type != "text"]
        if text := "\n".join(part.text for part in parts if part.type == "text").strip():
            words.append(f"Earlier answer: {text}" if message.role == "assistant" else text)
    if len(media) != 1:
        fix = "Send one image or PDF as a data: URL (image_url, or file with file_data)."
        raise WebError(400, "one_image", f"The messages contain {len(media)} images or files.", fix)
    if not words:
        raise WebError(400, "no_question", "The messages contain no text.")
    return "\n\n".join(words), *_decode(media[0])


def _decode(url: str) -> tuple[str, bytes]:
    found = _DATA_URL.match(url)
    if found is None:
        fix = "inboxd fetches no URLs: send the content, as data:image/png;base64,…"
        raise WebError(400, "not_a_data_url", "Images and files must be data: URLs.", fix)
    try:
        return found[1].lower(), base64.b64decode(url[found.end() :], validate=True)
    except ValueError:  # binascii.Error, or a character that is not ASCII
        raise WebError(400, "bad_base64", "The data: URL is not valid base64.") from None


async def _submit_bytes(
    backend: Backend, content: bytes, media_type: str, options: dict[str, JsonValue], question: str
) -> str:
    kind, _, name = media_type.partition("/")
    suffix = _SUFFIXES.get(media_type, f".{name}" if kind == "image" and name.isalnum() else "")
    async with backend.receiver.slot():
        backend.receiver.check_size(len(content))
        upload = backend.receiver.create(f"question{suffix}")
        try:
            await upload.write(content)
            await upload.finish()
            return await submit(backend, upload, options, prompt=question)
        finally:
            upload.discard()


async def _reply(finished: Finished) -> str:
    text = await finished.text(".txt", ".md", ".json")
    if text is None:
        raise WebError(422, "no_text", f"The recipe {finished.row['recipe']} wrote no text.")
    return text.strip()


ROUTES = [Route("/v1/chat/completions", complete, methods=["POST"])]
