"""Page requests as bodies of OpenAI chat completion requests, and completions as answers. Pure.

The fields are those of OpenAI's API reference, "The chat completion object"; servers may leave some out.
"""

import base64
import codecs
import io
import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from processors import wellformed
from processors.vlm.types import PageAnswer, PageRequest, StopReason

_STOP_REASONS = {"stop": StopReason.STOP, "length": StopReason.LENGTH, "content_filter": StopReason.REFUSED}


def write_request(
    model: str, request: PageRequest, features: Sequence[str], template: Mapping[str, object] | None = None
) -> dict[str, object]:
    """The body. features: those of "response_format", "logprobs" and "repetition_penalty" that the server supports.
    template: arguments of the chat template, as vLLM and llama.cpp take them."""
    body: dict[str, object] = {
        "model": model,
        "messages": [{"role": "user", "content": list(_content(request))}],
        "max_tokens": request.token_limit,
        "temperature": 0,
    }
    if template:
        body["chat_template_kwargs"] = dict(template)
    if "logprobs" in features:
        body["logprobs"] = True
    if "repetition_penalty" in features:
        body["repetition_penalty"] = 1.0  # none: a statement repeats the same digits and dates
    if "response_format" in features and request.json_schema is not None:
        schema = dict(request.json_schema)
        wanted = {"name": "answer", "strict": _requires_all(schema), "schema": schema}
        body["response_format"] = {"type": "json_schema", "json_schema": wanted}
    return body


def _requires_all(schema: object) -> bool:
    """True if no property may be left out: OpenAI refuses any other schema as a strict one."""
    if isinstance(schema, list):
        return all(_requires_all(each) for each in schema)
    if not isinstance(schema, Mapping):
        return True
    properties = schema.get("properties")
    optional = set(properties) - set(schema.get("required") or ()) if isinstance(properties, Mapping) else set()
    return not optional and all(_requires_all(each) for each in schema.values())


def read_completion(completion: dict[str, Any], size: tuple[int, int] | None, *, has_schema: bool) -> PageAnswer:
    """The answer in the first choice. size: of the page that was sent; has_schema: True if JSON was requested.

    Raises:
        ValueError, LookupError, TypeError, AttributeError, OverflowError: this is not a completion.
    """
    choice = completion["choices"][0]
    message, finish = choice["message"], choice.get("finish_reason")
    refusal, text = message.get("refusal"), message.get("content") or ""
    if not isinstance(text, str) or not isinstance(refusal or "", str):
        raise TypeError("its content is not text")
    refusal, text = wellformed.text(refusal or ""), wellformed.text(text)
    reason = StopReason.REFUSED if refusal else _STOP_REASONS.get(finish, StopReason.ERROR)
    usage = completion.get("usage") or {}
    tokens = ((choice.get("logprobs") or {}).get("content")) or []
    probabilities = [_probability(token["logprob"]) for token in tokens]
    return PageAnswer(
        text=text.strip(),
        stop_reason=reason,
        tokens=int(usage.get("completion_tokens") or len(tokens)),
        prompt_tokens=int(usage.get("prompt_tokens") or 0),
        lowest_token_probability=_lowest(probabilities),
        size_seen=size,
        token_probabilities=_token_probabilities(text, tokens, probabilities) if has_schema else (),
        error=refusal or (f"the server ended it with {finish!r}" if reason is StopReason.ERROR else ""),
    )


def _probability(logarithm: float | None) -> float:
    """Convert a log probability; null, as servers write NaN, becomes NaN."""
    return math.nan if logarithm is None or math.isnan(logarithm) else math.exp(min(0.0, logarithm))


def _lowest(probabilities: Sequence[float]) -> float | None:
    """The lowest probability; None if there are none, NaN if any is NaN."""
    if any(map(math.isnan, probabilities)):
        return math.nan
    return round(min(probabilities), 4) if probabilities else None


def _token_probabilities(
    text: str, tokens: Sequence[dict[str, Any]], probabilities: Sequence[float]
) -> tuple[tuple[int, float], ...]:
    """(end in the stripped text, probability) of each token; () if the tokens do not spell the text."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    spelled, ends = "", []
    for token in tokens:
        spelled += decoder.decode(bytes(token["bytes"])) if token.get("bytes") is not None else token["token"]
        ends.append(len(spelled))
    if not spelled.startswith(text):  # an end token may be spelled out as well
        return ()
    before = len(text) - len(text.lstrip())
    return tuple(
        (min(max(end - before, 0), len(text.strip())), probability)
        for end, probability in zip(ends, probabilities, strict=True)
    )


def _content(request: PageRequest) -> Iterator[dict[str, object]]:
    if request.image is not None:
        png = io.BytesIO()
        request.image.save(png, "PNG", compress_level=1)
        url = f"data:image/png;base64,{base64.b64encode(png.getvalue()).decode('ascii')}"
        yield {"type": "image_url", "image_url": {"url": url}}
    if request.prompt or request.image is None:
        yield {"type": "text", "text": request.prompt}
