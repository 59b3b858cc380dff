"""OpenAI's API: /v1/models, /v1/audio/transcriptions and /translations; see also `openai_chat`.

Reference: https://platform.openai.com/docs/api-reference. A model is a recipe, or one of OpenAI's names for its own.
"""

from collections.abc import AsyncIterator, Mapping, Sequence

from pydantic import JsonValue
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from daemon.config.settings import Settings
from daemon.web.backend import backend_of
from daemon.web.compat.speech import Transcript, options_for, transcript_of
from daemon.web.compat.streams import stream
from daemon.web.compat.work import (
    Finished,
    default_recipe,
    only_file,
    recipes_for,
    submit,
    wait_for,
)
from daemon.web.errors import WebError
from daemon.web.forms import Form, received_form
from processors.contract import Kind

_SPEECH_NAMES = ("whisper-1", "gpt-4o-transcribe", "gpt-4o-mini-transcribe")  # models of OpenAI
_FORMATS = ("json", "text", "srt", "vtt", "verbose_json")
_GRANULARITIES = ("word", "segment")


# ---------------------------------------------------------------------------------------------- models


async def list_models(request: Request) -> Response:
    return JSONResponse({"object": "list", "data": [_model(name) for name in _models(backend_of(request).settings)]})


async def show_model(request: Request) -> Response:
    name = request.path_params["model"]
    if name not in _models(backend_of(request).settings):
        raise unknown_model(name, _models(backend_of(request).settings))
    return JSONResponse(_model(name))


def _models(settings: Settings) -> list[str]:
    """The recipes for sound and pictures, and OpenAI's names for the ones that are used by default."""
    aliases = [_SPEECH_NAMES[0]] if default_recipe(settings, Kind.AUDIO) else []
    return [*recipes_for(settings, Kind.AUDIO), *recipes_for(settings, Kind.IMAGE), *aliases]


def _model(name: str) -> dict[str, object]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "inboxd"}


def unknown_model(name: str, known: Sequence[str]) -> WebError:
    return WebError(404, "model_not_found", f"There is no model {name[:100]!r}.", f"Known models: {', '.join(known)}.")


# ---------------------------------------------------------------------------------------------- audio


async def transcribe(request: Request) -> Response:
    return await _transcribe(request, translates=False)


async def translate_audio(request: Request) -> Response:
    return await _transcribe(request, translates=True)


async def _transcribe(request: Request, *, translates: bool) -> Response:
    backend = backend_of(request)
    backend.require_daemon()
    async with received_form(request, backend.receiver, {"file"}) as form:
        shown, granularities = _answer_format(form)
        options = options_for(
            backend.settings,
            _speech_recipe(backend.settings, form.get("model")),
            form=shown,
            language="" if translates else form.get("language"),
            prompt=form.get("prompt"),
            temperature=form.get("temperature"),
            translate=translates,
            words="word" in granularities,
        )
        job_id = await submit(backend, only_file(form), options)
    task = "translate" if translates else "transcribe"
    if form.get("stream") in ("true", "True", "1"):

        async def parts() -> AsyncIterator[dict[str, object]]:
            transcript = await transcript_of(await wait_for(request, job_id))
            for segment in transcript.segments:
                yield {"type": "transcript.text.delta", "delta": segment.get("text", "")}
            yield {"type": "transcript.text.done", "text": transcript.text, "usage": _usage(transcript)}

        return stream(parts(), job_id)
    finished = await wait_for(request, job_id)
    return await _audio_answer(finished, shown, granularities, task)


def _answer_format(form: Form) -> tuple[str, list[str]]:
    """Read the format of the response, and the units (words, segments) for which the client wants timestamps.

    Raises:
        WebError: the format or a unit is unknown, or the format has no timestamps.
    """
    shown = form.get("response_format", "json") or "json"
    if shown not in _FORMATS:
        raise bad_parameter("response_format", shown, f"Known formats: {', '.join(_FORMATS)}.")
    fields = form.fields
    granularities = [*fields.get("timestamp_granularities[]", ()), *fields.get("timestamp_granularities", ())]
    for each in granularities:
        if each not in _GRANULARITIES:
            raise bad_parameter("timestamp_granularities", each, f"Known ones: {', '.join(_GRANULARITIES)}.")
    if granularities and shown != "verbose_json":
        raise bad_parameter("timestamp_granularities", granularities[0], "It needs response_format=verbose_json.")
    return shown, granularities or ["segment"]


def _speech_recipe(settings: Settings, model: str) -> str | None:
    """The recipe with the name `model`; None, for the default recipe: `model` is empty, or a model of OpenAI."""
    if model in ("", *_SPEECH_NAMES):
        return None
    known = recipes_for(settings, Kind.AUDIO)
    if model not in known:
        raise unknown_model(model, [*known, *_SPEECH_NAMES])
    return model


async def _audio_answer(finished: Finished, shown: str, granularities: Sequence[str], task: str) -> Response:
    if shown in ("srt", "vtt"):
        text = await finished.text(f".{shown}")
        if text is None:
            raise WebError(422, "no_subtitles", f"The recipe {finished.row['recipe']} wrote no {shown} file.")
        return PlainTextResponse(text, headers=finished.headers)
    transcript = await transcript_of(finished)
    if shown == "text":
        return PlainTextResponse(transcript.text + "\n", headers=finished.headers)
    answer: dict[str, object] = {"text": transcript.text, "usage": _usage(transcript)}
    if shown == "verbose_json":
        answer |= {"task": task, "language": transcript.language_name, "duration": transcript.seconds}
        if "segment" in granularities:
            answer["segments"] = [_segment(number, each) for number, each in enumerate(transcript.segments)]
        if "word" in granularities:
            answer["words"] = transcript.words()
    return JSONResponse(answer, headers=finished.headers)


def _segment(number: int, segment: Mapping[str, JsonValue]) -> dict[str, object]:
    """A segment with every field that OpenAI's clients require. A model server as engine reports fewer fields."""
    defaults: dict[str, object] = {"id": number, "seek": 0, "start": 0.0, "end": 0.0, "text": "", "tokens": []}
    numbers = {"temperature": 0.0, "avg_logprob": 0.0, "compression_ratio": 0.0, "no_speech_prob": 0.0}
    given = {name: value for name, value in segment.items() if value is not None and name != "words"}
    return {**defaults, **numbers, **given}


def _usage(transcript: Transcript) -> dict[str, object]:
    return {"type": "duration", "seconds": round(transcript.seconds)}


def bad_parameter(name: str, value: object, fix: str) -> WebError:
    return WebError(400, "bad_parameter", f"{name}={str(value)[:100]!r} is not valid.", fix)


ROUTES = [
    Route("/v1/models", list_models),
    Route("/v1/models/{model}", show_model),
    Route("/v1/audio/transcriptions", transcribe, methods=["POST"]),
    Route("/v1/audio/translations", translate_audio, methods=["POST"]),
]
