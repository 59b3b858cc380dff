"""The API of whisper-asr-webservice, which Bazarr uses: /asr and /detect-language.

Reference: https://github.com/ahmetoner/whisper-asr-webservice. With encode=false, the file is raw PCM without a
header: 16-bit little-endian samples, mono, 16 kHz.
"""

import json
import struct
from contextlib import AsyncExitStack

from pydantic import JsonValue
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from daemon.web.backend import Backend, backend_of
from daemon.web.compat.speech import Transcript, options_for, transcript_of
from daemon.web.compat.work import Finished, only_file, submit, wait_for, with_prefix
from daemon.web.downloads import attachment
from daemon.web.errors import WebError
from daemon.web.forms import received_form
from daemon.web.uploads import Upload

_OUTPUTS = ("txt", "vtt", "srt", "tsv", "json")
_TASKS = ("transcribe", "translate")
_RATE_HZ, _SAMPLE_BYTES = 16_000, 2  # of bare sound
_MOST = 2**32 - 1  # in the header of a WAV file
_FALSE = ("false", "False", "0")
_DETECT_SECONDS = 30


async def transcribe(request: Request) -> Response:
    query = request.query_params
    output, task = query.get("output", "txt"), query.get("task", "transcribe")
    if output not in _OUTPUTS or task not in _TASKS:
        name, value, known = ("output", output, _OUTPUTS) if output not in _OUTPUTS else ("task", task, _TASKS)
        raise WebError(422, "bad_parameter", f"{name}={value[:100]!r} is not one of {', '.join(known)}.")
    options = options_for(
        backend_of(request).settings,
        None,
        form=output,
        language=query.get("language", ""),
        prompt=query.get("initial_prompt", ""),
        translate=task == "translate",
        words=query.get("word_timestamps", "false") not in _FALSE,
    )
    finished = await _run(request, options)
    return _answer(finished, output, await _text(finished, output))


async def detect_language(request: Request) -> Response:
    options = options_for(backend_of(request).settings, None, form="json", language="auto")
    options["clip_timestamps"] = f"0,{_DETECT_SECONDS}"
    transcript = await transcript_of(await _run(request, options))
    answer = {"detected_language": transcript.language_name, "language_code": transcript.language}
    return JSONResponse({**answer, "confidence": transcript.language_probability})


async def _run(request: Request, options: dict[str, JsonValue]) -> Finished:
    backend = backend_of(request)
    backend.require_daemon()
    async with AsyncExitStack() as stack:
        form = await stack.enter_async_context(received_form(request, backend.receiver, {"audio_file"}))
        upload = only_file(form)
        if request.query_params.get("encode", "true") in _FALSE:
            upload = await _as_wave(backend, upload, _film_name(request) or upload.name)
            stack.callback(upload.discard)
        job_id = await submit(backend, upload, options)
    return await wait_for(request, job_id)


def _film_name(request: Request) -> str:
    """The name of the film from which Bazarr extracted the sound. Its uploads all have the name of the form's field."""
    return request.query_params.get("video_file", "").replace("\\", "/").rpartition("/")[2]


async def _as_wave(backend: Backend, bare: Upload, name: str) -> Upload:
    """Add a WAV header to raw PCM; return an upload unchanged if it has a header already."""
    with bare.path.open("rb") as file:
        if file.read(4) == b"RIFF":
            return bare
    size = bare.size_bytes
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, _RATE_HZ, _RATE_HZ * _SAMPLE_BYTES, _SAMPLE_BYTES, 16)
    head = struct.pack("<4sI4s", b"RIFF", min(size + 36, _MOST), b"WAVE")
    header = head + form + struct.pack("<4sI", b"data", min(size, _MOST))
    return await with_prefix(backend, bare, header, f"{name}.wav")


async def _text(finished: Finished, output: str) -> str:
    if output in ("txt", "json"):
        transcript = await transcript_of(finished)
        return transcript.text + "\n" if output == "txt" else _json(transcript)
    text = await finished.text(f".{output}")
    if text is None:
        raise WebError(422, "no_subtitles", f"The recipe {finished.row['recipe']} wrote no {output} file.")
    return text


def _json(transcript: Transcript) -> str:
    return json.dumps(
        {"text": transcript.text, "segments": transcript.segments, "language": transcript.language}, ensure_ascii=False
    )


def _answer(finished: Finished, output: str, text: str) -> Response:
    name = finished.row["file"].rsplit("/", 1)[-1]
    headers = {
        **finished.headers,
        "Asr-Engine": finished.row["engine"] or "inboxd",
        "Content-Disposition": attachment(f"{name}.{output}"),
    }
    return PlainTextResponse(text, headers=headers)


ROUTES = [
    Route("/asr", transcribe, methods=["POST"]),
    Route("/detect-language", detect_language, methods=["POST"]),
]
