"""The APIs of other programs, spoken by their own clients where there is one, to a real daemon and `inboxd web`."""

from __future__ import annotations

import base64
import json
import wave
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING
from urllib.parse import quote

import httpx2 as httpx
import pytest
from fake_servers import KEY, FakeServer
from paths import DATA
from PIL import Image
from sandbox import Place, wait_for
from web_process import WebProcess

if TYPE_CHECKING:
    from openai import OpenAI

TOML = """
[inbox]
text = "count"
settle_seconds = 0.3
[inbox.folders.api]
text = "count"
[recipes.count]
processor = "plaintext"
[recipes.notes]
processor = "whisper"
[processors.whisper]
engine = "openai"
base_url = "{speech}/v1"
model = "tiny"
api_key_env = "TEST_KEY"
[processors.vlm]
engine = "openai"
base_url = "{vision}/v1"
model = "tiny"
api_key_env = "TEST_KEY"
[retry]
attempts = 1
[web]
listen = "127.0.0.1:0"
"""
SPEECH = DATA / "audio" / "jfk.flac"
HEARD = "I was sent 11 seconds."
LINE = DATA / "drawings" / "line.png"


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    speech, vision = FakeServer("speech_server"), FakeServer("model_server")
    made = Place(tmp_path_factory.mktemp("compat"), TOML.format(speech=speech.root, vision=vision.root))
    made.start(TEST_KEY=KEY)
    yield made
    made.stop_all()
    speech.stop()
    vision.stop()


@pytest.fixture(scope="module")
def web(place: Place) -> WebProcess:
    return WebProcess(place)


@pytest.fixture(scope="module")
def openai() -> ModuleType:
    """Imported by the one process that needs it, not by each one that collects the tests."""
    return pytest.importorskip("openai", reason="needs the package openai")


@pytest.fixture(scope="module")
def client(openai: ModuleType, web: WebProcess) -> OpenAI:
    return openai.OpenAI(base_url=f"{web.address}/v1", api_key=web.token, max_retries=0, timeout=60)


# ---------------------------------------------------------------------------------------------- OpenAI: speech


def test_models_are_the_recipes(client: OpenAI, openai: ModuleType):
    names = [model.id for model in client.models.list()]
    assert {"notes", "transcribe", "ask", "whisper-1"} <= set(names) and "count" not in names
    assert client.models.retrieve("notes").owned_by == "inboxd"
    with pytest.raises(openai.NotFoundError, match="Known models"):
        client.models.retrieve("gpt-9")


@pytest.mark.parametrize("model", ["whisper-1", "notes"])
def test_sound_is_transcribed(model: str, client: OpenAI, place: Place):
    answer = client.audio.transcriptions.create(file=SPEECH, model=model, language="en", prompt="Kennedy")
    assert answer.text == HEARD
    row = place.rows()[-1]
    assert row["recipe"] == ("transcribe" if model == "whisper-1" else model)
    assert (row["folder"], row["source"]) == ("api", "api")


def test_each_format_is_what_the_client_expects(client: OpenAI):
    def create(form: str, **more: object) -> object:
        return client.audio.transcriptions.create(file=SPEECH, model="whisper-1", response_format=form, **more)

    assert create("text") == HEARD + "\n"
    assert create("srt").startswith("1\n00:00:00,000 --> 00:00:")
    assert create("vtt").startswith("WEBVTT\n")
    verbose = create("verbose_json")
    assert (verbose.text, verbose.language) == (HEARD, "english") and 10 < float(verbose.duration) < 12
    assert [segment.text.strip() for segment in verbose.segments] == [HEARD] and verbose.words is None
    words = create("verbose_json", timestamp_granularities=["word"])
    assert [(word.word, word.start) for word in words.words] == [("seconds", 0.5)] and words.segments is None
    both = create("verbose_json", timestamp_granularities=["word", "segment"])
    assert both.words and both.segments


def test_transcript_is_streamed(client: OpenAI):
    events = list(client.audio.transcriptions.create(file=SPEECH, model="whisper-1", stream=True))
    assert [event.type for event in events] == ["transcript.text.delta", "transcript.text.done"]
    assert events[0].delta.strip() == events[-1].text == HEARD


def test_sound_is_translated(client: OpenAI, place: Place):
    assert client.audio.translations.create(file=SPEECH, model="whisper-1").text
    result = json.loads((place.outbox / place.rows()[-1]["result_path"] / "result.json").read_text())
    assert result["options"]["task"] == "translate"


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"response_format": "html"}, "response_format"),
        ({"timestamp_granularities": ["word"]}, "verbose_json"),
        ({"language": "klingon"}, "unknown language"),
        ({"temperature": 9}, "temperature"),
        ({"temperature": "nan"}, "temperature"),
        ({"temperature": -1}, "temperature"),
    ],
)
def test_wrong_request_is_a_client_error(given: dict, words: str, client: OpenAI, openai: ModuleType, place: Place):
    before = len(place.rows())
    with pytest.raises(openai.BadRequestError, match=words) as error:
        client.audio.transcriptions.create(file=SPEECH, model="whisper-1", **given)
    assert error.value.body["type"] == "invalid_request_error"
    assert len(place.rows()) == before and not any((place.inbox / ".incoming").iterdir())


def test_unknown_model_wrong_token_and_file_without_sound_are_distinguished(
    client: OpenAI, openai: ModuleType, web: WebProcess, tmp_path: Path
):
    with pytest.raises(openai.NotFoundError, match="no model"):
        client.audio.transcriptions.create(file=SPEECH, model="whisper-9")
    stranger = openai.OpenAI(base_url=f"{web.address}/v1", api_key="wrong", max_retries=0)
    with pytest.raises(openai.AuthenticationError):
        stranger.audio.transcriptions.create(file=SPEECH, model="whisper-1")
    broken = tmp_path / "broken.mp3"
    broken.write_bytes(b"ID3\x04\x00\x00\x00\x00\x00\x00" + b"\xff\xfb\x90\x00" * 10)
    with pytest.raises(openai.APIStatusError) as error:
        client.audio.transcriptions.create(file=broken, model="whisper-1")
    assert error.value.status_code in (400, 422) and error.value.response.headers["x-inboxd-job"]


def test_error_of_a_streamed_job_reaches_the_client(client: OpenAI, openai: ModuleType, tmp_path: Path):
    broken = tmp_path / "broken.mp3"
    broken.write_bytes(b"ID3\x04\x00\x00\x00\x00\x00\x00" + b"\xff\xfb\x90\x00" * 10)
    with pytest.raises(openai.APIError):
        list(client.audio.transcriptions.create(file=broken, model="whisper-1", stream=True))


# ---------------------------------------------------------------------------------------------- OpenAI: chat


def data_url(path: Path = LINE) -> str:
    return f"data:image/png;base64,{base64.b64encode(path.read_bytes()).decode()}"


def question(url: str, text: str = "What is it?") -> list[dict]:
    image = {"type": "image_url", "image_url": {"url": url}}
    return [{"role": "user", "content": [{"type": "text", "text": text}, image]}]


def test_question_about_an_image_is_answered(client: OpenAI, place: Place):
    answer = client.chat.completions.create(model="gpt-4o", messages=question(data_url()), max_tokens=99)
    assert answer.choices[0].message.content == "I see 196 x 84. I was asked: What is it?"
    assert answer.choices[0].finish_reason == "stop" and answer.model == "gpt-4o"
    row = place.rows()[-1]
    assert answer.id == f"chatcmpl-{row['id']}" and (row["recipe"], row["file"]) == ("ask", "api/question.png")
    place.verify()


def test_question_about_a_pdf_is_answered(client: OpenAI, place: Place, tmp_path: Path):
    with Image.open(LINE) as image:
        image.convert("RGB").save(tmp_path / "line.pdf")
    data = base64.b64encode((tmp_path / "line.pdf").read_bytes()).decode()
    file = {"filename": "line.pdf", "file_data": f"data:application/pdf;base64,{data}"}
    parts = [{"type": "text", "text": "What is it?"}, {"type": "file", "file": file}]
    answer = client.chat.completions.create(model="ask", messages=[{"role": "user", "content": parts}])
    assert "I was asked: What is it?" in answer.choices[0].message.content
    assert place.rows()[-1]["media_type"] == "application/pdf"


def test_answer_is_streamed(client: OpenAI):
    chunks = list(client.chat.completions.create(model="ask", messages=question(data_url()), stream=True))
    assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks).startswith("I see 196 x 84.")
    assert chunks[-1].choices[0].finish_reason == "stop"


def test_earlier_messages_are_part_of_the_question(client: OpenAI):
    messages = [
        {"role": "system", "content": "Be brief."},
        *question(data_url(), "What is it?"),
        {"role": "assistant", "content": "A line."},
        {"role": "user", "content": "How long?"},
    ]
    text = client.chat.completions.create(model="ask", messages=messages).choices[0].message.content
    assert text.endswith("I was asked: Be brief.\n\nWhat is it?\n\nEarlier answer: A line.\n\nHow long?")


@pytest.mark.parametrize(
    ("messages", "words"),
    [
        (question("https://example.org/a.png"), "fetches no URLs"),
        (question("file:///etc/passwd"), "fetches no URLs"),
        (question("/etc/passwd"), "fetches no URLs"),
        (question("data:image/png;base64,!!!"), "base64"),
        (question("data:image/png;base64,é"), "base64"),
        ([{"role": "user", "content": "What is it?"}], "contain 0 images"),
        (question(data_url()) + question(data_url()), "contain 2 images"),
        (question(data_url(), ""), "no text"),
        ([{"role": "user", "content": [{"type": "input_audio", "input_audio": {}}]}], "input_audio"),
    ],
)
def test_wrong_messages_are_refused(messages: list, words: str, client: OpenAI, openai: ModuleType):
    with pytest.raises(openai.BadRequestError, match=words):
        client.chat.completions.create(model="ask", messages=messages)


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"messages": 1}', b'{"messages": [{"role": 1}]}', b"[" * 9000])
def test_invalid_request_body_is_refused(body: bytes, web: WebProcess):
    answer = web.client.post("/v1/chat/completions", content=body)
    assert answer.status_code == 400 and answer.json()["error"]["message"]


def test_further_question_has_the_earlier_ones_as_context(web: WebProcess):
    asked = web.client.put(
        "/api/v1/files/line.png",
        content=LINE.read_bytes(),
        params={"recipe": "ask", "prompt": "What is it?", "wait": 60},
    ).json()
    assert asked["state"] == "done", asked
    path = f"/jobs/{asked['id']}"
    page = web.client.get(path, headers={"Accept": "text/html"}).text
    assert "What is it?" in page and "Ask a further question" in page
    further = web.client.post(f"{path}/ask", data={"question": "How long?"}, headers={"Origin": web.address})
    job = web.get(f"/api/v1{further.headers['location']}", wait=60)
    prompt = job["details"]["prompt"]
    assert prompt.startswith("Earlier, about the same document:\n\nThe question was:\nWhat is it?\n\nThe answer was:\n")
    assert prompt.endswith("Answer this question now:\nHow long?")
    assert (job["recipe"], job["sha256"], job["file"]) == ("ask", asked["sha256"], "line.png")
    third = web.client.post(f"/api/v1/jobs/{job['id']}/ask", data={"question": "Why?"})
    assert third.status_code == 201, third.text
    prompt = web.get(f"/api/v1/jobs/{third.json()['id']}", wait=60)["details"]["prompt"]
    assert "The question was:\nHow long?\n\nThe answer was:" in prompt and prompt.endswith("now:\nWhy?")
    refused = web.client.post(f"/api/v1/jobs/{job['id']}/ask", data={"question": " "})
    assert refused.status_code == 400
    text = web.upload("a.txt", "x", wait=30)
    assert web.client.post(f"/api/v1/jobs/{text['id']}/ask", data={"question": "Why?"}).status_code == 409


# ---------------------------------------------------------------------------------------------- Open WebUI


def test_open_webui_gets_the_text_of_a_document(web: WebProcess, place: Place):
    headers = {"Content-Type": "text/plain", "X-Filename": quote("Brief an Özgür.txt")}
    answer = web.client.put("/process", content="some words\n", headers=headers)
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert body["page_content"].strip() == "some words"
    assert body["metadata"]["source"] == "Brief an Özgür.txt"
    assert place.row("api/Brief an Özgür.txt")["id"] == body["metadata"]["job"] == answer.headers["x-inboxd-job"]


@pytest.mark.parametrize("content", [b"", b"\x00\x01\x02"])
def test_document_without_text_is_422(content: bytes, web: WebProcess):
    """Open WebUI reads the file itself if the error has these words."""
    answer = web.client.put("/process", content=content, headers={"X-Filename": "a.bin"})
    assert answer.status_code == 422 and "No extractable text" in answer.json()["error"]["message"]


# ---------------------------------------------------------------------------------------------- docling


def test_docling_converts_a_file_at_once(web: WebProcess):
    files, data = {"files": ("letter.txt", b"some words")}, {"to_formats": ["md", "text"], "do_ocr": "true"}
    answer = web.client.post("/v1/convert/file", files=files, data=data).json()
    assert answer["status"] == "success" and answer["errors"] == [] and answer["processing_time"] >= 0
    document = answer["document"]
    assert document["filename"] == "letter.txt" and document["html_content"] is None
    assert document["md_content"].strip() == document["text_content"].strip() == "some words"


def test_docling_converts_a_file_later(web: WebProcess):
    task = web.client.post("/v1/convert/file/async", files={"files": ("letter.txt", b"some words")}).json()
    assert task["task_status"] in ("pending", "started", "success")
    polled = web.get(f"/v1/status/poll/{task['task_id']}", wait=30)
    assert polled["task_status"] == "success"
    assert web.get(f"/v1/result/{task['task_id']}")["document"]["md_content"].strip() == "some words"


def test_docling_client_gets_its_own_document(web: WebProcess):
    """As docling's client sends it: first with a target that it prefers, then with the document in the response."""
    files = {"files": ("letter.txt", b"# Dear Ann\n\nsome words\nmore\n\nBye")}
    data = {"to_formats": ["md", "json"], "abort_on_error": "False", "page_range": ["1", "10"]}
    refused = web.client.post("/v1/convert/file/async", files=files, data=data | {"target_type": "presigned_url"})
    assert refused.status_code == 422
    assert "artifact storage to be configured" in refused.json()["detail"], "the client then takes the next target"
    task = web.client.post("/v1/convert/file/async", files=files, data=data | {"target_type": "inbody"}).json()
    web.get(f"/v1/status/poll/{task['task_id']}", wait=30)
    document = web.get(f"/v1/result/{task['task_id']}")["document"]["json_content"]
    assert (document["schema_name"], document["name"]) == ("DoclingDocument", "letter.txt")
    texts = [(each["label"], each["text"]) for each in document["texts"]]
    assert texts == [("section_header", "Dear Ann"), ("text", "some words\nmore"), ("text", "Bye")]
    assert [each["$ref"] for each in document["body"]["children"]] == ["#/texts/0", "#/texts/1", "#/texts/2"]
    assert "inboxd" in web.get("/version")


def test_docling_fetches_no_addresses(web: WebProcess):
    for path in ("/v1/convert/source", "/v1/convert/source/async"):
        answer = web.client.post(path, json={"sources": [{"kind": "http", "url": "http://127.0.0.1:1/a.pdf"}]})
        assert answer.status_code == 422 and "does not fetch files by URL" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("data", "names"),
    [({"to_formats": "html"}, ["a.txt"]), ({"target_type": "zip"}, ["a.txt"]), ({}, ["a.txt", "b.txt"]), ({}, [])],
)
def test_docling_refuses_unsupported_requests(data: dict, names: list[str], web: WebProcess):
    files = [("files", (name, b"x")) for name in names] or [("other", (None, b"x"))]
    answer = web.client.post("/v1/convert/file", files=files, data=data)
    assert answer.status_code in (400, 422) and answer.json()["detail"]


def test_docling_knows_no_task_of_others(web: WebProcess, place: Place):
    place.drop("other.txt", "not through this API")
    other = place.ended("other.txt")["id"]
    for task in (other, other[:8], "nope", "%2e%2e"):
        answer = web.client.get(f"/v1/result/{task}")
        assert (answer.status_code, answer.json()) == (404, {"detail": "Task not found."})


def test_failed_task_is_a_failure(web: WebProcess):
    task = web.client.post("/v1/convert/file/async", files={"files": ("a.bin", b"\x00\x01\x02")}).json()["task_id"]
    assert web.get(f"/v1/status/poll/{task}", wait=30)["task_status"] == "failure"
    answer = web.client.get(f"/v1/result/{task}")
    assert answer.status_code == 422 and answer.json()["detail"]


# ---------------------------------------------------------------------------------------------- whisper-asr-webservice


def bare_sound() -> bytes:
    """Samples without a header, as Bazarr sends them."""
    with wave.open(str(DATA / "audio" / "LJ001-0001.wav")) as sound:
        return sound.readframes(sound.getnframes())


def asr(web: WebProcess, path: str, sound: bytes, **query: str) -> httpx.Response:
    return web.client.post(path, params=query, files={"audio_file": ("audio_file", sound)})


def test_subtitles_for_bazarr(web: WebProcess, place: Place):
    sent = bare_sound()
    query = {"output": "srt", "task": "transcribe", "language": "en", "video_file": "/films/Some Film (1).mkv"}
    answer = asr(web, "/asr", sent, encode="false", **query)
    assert answer.status_code == 200 and answer.text.startswith("1\n00:00:00,000 -->")
    said = "".join(line for line in answer.text.splitlines() if "-->" not in line)  # two cues: it lasts over 7 s
    assert f"I was sent {len(sent) / 32_000:.0f}" in said
    original = next((place.outbox / place.rows()[-1]["result_path"]).rglob("*.wav"))
    assert original.name == "Some Film (1).mkv.wav", "not that of the form's field"
    with wave.open(str(original)) as sound:
        assert (sound.getframerate(), sound.getnchannels(), sound.getnframes()) == (16_000, 1, len(sent) // 2)
    assert not any((place.inbox / ".incoming").iterdir())


def test_each_output_of_asr(web: WebProcess):
    sound = SPEECH.read_bytes()
    assert asr(web, "/asr", sound).text == HEARD + "\n"
    assert asr(web, "/asr", sound, output="vtt").text.startswith("WEBVTT")
    assert asr(web, "/asr", sound, output="tsv").text.startswith("start\tend\ttext")
    assert asr(web, "/asr", sound, output="json").json()["language"] == "en"
    assert asr(web, "/asr", sound, output="pdf").status_code == 422
    assert "detail" in asr(web, "/asr", sound, task="summarize").json()


def test_language_is_detected(web: WebProcess):
    answer = asr(web, "/detect-language", bare_sound(), encode="false")
    assert answer.status_code == 200, answer.text
    assert (answer.json()["detected_language"], answer.json()["language_code"]) == ("english", "en")


def test_job_continues_after_its_client_disconnects(web: WebProcess, place: Place):
    before = len(place.rows())
    with pytest.raises(httpx.TimeoutException), httpx.Client(timeout=0.001) as impatient:
        impatient.post(f"{web.address}/asr", headers={"X-Api-Key": web.token}, files={"audio_file": b"x"})
    files = {"file": ("a.flac", SPEECH.read_bytes())}
    assert web.client.post("/v1/audio/transcriptions", files=files).status_code == 200
    wait_for(lambda: len(place.rows()) > before, "its job")
    place.verify()
