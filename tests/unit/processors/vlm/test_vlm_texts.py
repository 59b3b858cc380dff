"""Texts instead of pages, and the text of a page beside its image: requests to a model server, a real process."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from fake_servers import KEY, FakeServer
from tiny_vlm import DRAWINGS, Asked, a_work

from processors import pages
from processors.contract import Failed, Kind, Progress
from processors.vlm import AskOptions, Vlm, VlmOptions
from processors.vlm.document import statements
from processors.vlm.document.texts import divide

pytestmark = pytest.mark.slow
SCHEMA = {"type": "object", "properties": {"total": {"type": "string"}}, "required": ["total"]}


@pytest.fixture
def server() -> Iterator[FakeServer]:
    server = FakeServer("model_server")
    yield server
    server.stop()


@pytest.fixture
def ask(server: FakeServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Asked]:
    monkeypatch.setenv("TEST_KEY", KEY)

    def ask(source: Path, *behaviors: dict, media_type: str = "text/plain", **options: object) -> Asked:
        server.behave(*behaviors)
        processor = Vlm()
        given = {"engine": "openai", "base_url": f"{server.root}/v1", "model": "tiny", "api_key_env": "TEST_KEY"}
        processor.load(VlmOptions(**given), Path(), Progress(lambda message: None))
        work = a_work(source, tmp_path, AskOptions(**{"retries": 0, **options}))
        if source.suffix != ".png":
            work = replace(work, kind=Kind.TEXT, media_type=media_type)
        ((_, outcome),) = processor.process([work], Progress(lambda message: None))
        return Asked(outcome, work, [])

    return ask


def test_text_is_summarized_without_an_image(ask: Callable[..., Asked], server: FakeServer, tmp_path: Path):
    source = tmp_path / "letter.txt"
    source.write_text("Dear tenant, the rent is 895.50 euros.")
    found = ask(source, {"content": "A letter about rent."}, task="summarize")
    assert found.outcome.excerpt == "A letter about rent." and found.outcome.review == ()
    (asked,) = server.asked()["asked"]
    assert asked["images"] == 0 and "the rent is 895.50 euros" in asked["prompt"]
    assert not (found.work.outputs / "text").exists(), "the extracted text is not an output"


def test_data_is_extracted_from_a_text(ask: Callable[..., Asked], tmp_path: Path):
    source = tmp_path / "receipt.csv"
    source.write_text("total;895.50\n")
    found = ask(source, {"content": '{"total": "895.50"}'}, task="extract", json_schema=SCHEMA)
    assert '"895.50"' in (found.work.outputs / found.outcome.files[0]).read_text()


def test_long_text_is_read_in_parts(ask: Callable[..., Asked], server: FakeServer, tmp_path: Path):
    source = tmp_path / "long.txt"
    source.write_text("\n\n".join(f"Paragraph {number} " + "word " * 100 for number in range(120)))
    found = ask(source, *({"content": f"part {number}"} for number in range(4)), task="summarize")
    prompts = [each["prompt"] for each in server.asked()["asked"]]
    assert len(prompts) == found.outcome.pages + 1 == 4
    assert "[page 3]" in prompts[3]
    for number in (0, 60, 119):  # the parts are sent at the same time
        assert sum(f"Paragraph {number} " in prompt for prompt in prompts[:3]) == 1


def test_review_lists_content_that_the_text_lacks(ask: Callable[..., Asked], tmp_path: Path):
    source = tmp_path / "latin.txt"
    source.write_bytes("Größe und Länge für alle Länder".encode("cp1252"))
    found = ask(source, {"content": "x"}, prompt="What is it?")
    assert any("inboxd guessed" in reason for reason in found.outcome.review)


def test_task_of_pages_refuses_a_text(ask: Callable[..., Asked], tmp_path: Path):
    source = tmp_path / "letter.txt"
    source.write_text("Dear tenant")
    found = ask(source, task="read")
    assert isinstance(found.outcome, Failed) and 'use the recipe "text"' in found.outcome.message


def test_empty_text_is_refused(ask: Callable[..., Asked], tmp_path: Path):
    source = tmp_path / "letter.txt"
    source.write_text(" \n ")
    assert "No text was found" in ask(source, task="summarize").outcome.message


def test_model_gets_the_text_of_a_page_beside_its_image_if_asked(
    ask: Callable[..., Asked], server: FakeServer, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(statements, "read_again", lambda page: ("TOTAL 12.34", "OCR"))
    ask(DRAWINGS / "line.png", prompt="How much?", page_text=True)
    ask(DRAWINGS / "line.png", prompt="How much?")
    first, second = server.asked()["asked"]
    assert first["images"] == 1 and first["prompt"].startswith("How much?\n") and "TOTAL 12.34" in first["prompt"]
    assert second["prompt"] == "How much?"


def test_page_whose_text_cannot_be_read_is_named(ask: Callable[..., Asked], monkeypatch: pytest.MonkeyPatch):
    def fail(page: pages.Page) -> tuple[str, str]:
        raise RuntimeError("mistake")

    monkeypatch.setattr(statements, "read_again", fail)
    found = ask(DRAWINGS / "line.png", prompt="How much?", page_text=True)
    assert "got only its image, without its text" in found.outcome.review[0]


def test_text_is_divided_between_paragraphs_and_nothing_is_lost():
    text = "\n\n".join(f"paragraph {number}" for number in range(100))
    parts = divide(text, 200)
    assert max(map(len, parts)) <= 200 and "\n\n".join(parts) == text
    assert "".join(divide("x" * 1000, 300)) == "x" * 1000
