"""llama.cpp's server as the engine, a real one that the worker starts: its answers are those of transformers.

The model is tiny-vlm in both; tests/support/llama_server.py converts it.
"""

import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import requires
import tiny_vlm
from paths import PYTHONPATH, ROOT, TESTS
from sandbox import wait_for

from processors.contract import Progress
from processors.remote import child
from processors.vlm import AskOptions, Vlm, VlmOptions
from processors.vlm.types import PageRequest, StopReason

pytestmark = pytest.mark.slow
SCHEMA = json.loads(tiny_vlm.STATEMENT_SCHEMA.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def vlm() -> Iterator[Vlm]:
    python = requires.llama()
    server = (python, str(TESTS / "support" / "llama_server.py"), "{port}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", PYTHONPATH)
        patch.chdir(ROOT)
        patch.delenv(child.KEY, raising=False)
        vlm = Vlm()
        options = VlmOptions(server=server, model="tiny", pages_at_once=4)
        loaded = vlm.load(options, Path("nowhere"), Progress(lambda message: None))
        assert (loaded.engine, loaded.device) == ("server", Path(python).name), sys.executable
        yield vlm
        vlm.unload()


def requests() -> list[PageRequest]:
    return [
        PageRequest(image=tiny_vlm.drawing(name.removesuffix(".png")), prompt=about["prompt"], token_limit=300)
        for name, about in tiny_vlm.ANSWERS.items()
    ]


def test_pages_have_the_answers_of_transformers(vlm: Vlm):
    """Those in answers.json are what the engine in this process answers, as test_vlm_engine shows. Four requests at
    a time, on two slots of the server."""
    answers = vlm._engine.answer(requests(), lambda: None)
    assert [answer.text for answer in answers] == [about["answer"] for about in tiny_vlm.ANSWERS.values()]
    assert {answer.stop_reason for answer in answers} == {StopReason.STOP}
    assert all(0.5 < answer.lowest_token_probability <= 1 for answer in answers)
    assert vlm._engine._features[0] == ("response_format", "logprobs", "repetition_penalty"), "all are understood"


def test_statement_follows_its_schema_and_has_probabilities(vlm: Vlm, tmp_path: Path):
    options = AskOptions(prompt=tiny_vlm.STATEMENT, task="extract", json_schema=SCHEMA)
    work = tiny_vlm.a_work(tiny_vlm.DRAWINGS / "statement-two.png", tmp_path, options)
    ((_, outcome),) = vlm.process([work], Progress(lambda message: None))
    asked = tiny_vlm.Asked(outcome, work, [])
    assert asked.data == json.loads(tiny_vlm.answer("statement-two"))
    assert len(asked.about_pages[0]["value_probabilities"]) == 10


def test_answer_that_the_schema_enforces_is_json(vlm: Vlm):
    """The model has never seen such a schema: only the server's grammar leads to it."""
    schema = {"type": "object", "properties": {"paid": {"type": "boolean"}}, "required": ["paid"],
              "additionalProperties": False}  # fmt: skip
    request = PageRequest(image=tiny_vlm.drawing("line"), prompt="Read.", token_limit=150, json_schema=schema)
    assert isinstance(json.loads(vlm._engine.answer_one(request).text)["paid"], bool)


def test_answer_is_cut_off_at_its_limit(vlm: Vlm):
    request = PageRequest(image=tiny_vlm.drawing("statement-two"), prompt=tiny_vlm.STATEMENT, token_limit=5)
    answer = vlm._engine.answer_one(request)
    assert (answer.stop_reason, answer.tokens) == (StopReason.LENGTH, 5)


def test_prompt_that_is_too_long_is_reported(vlm: Vlm):
    request = PageRequest(image=tiny_vlm.drawing("line"), prompt="total 12 " * 5000, token_limit=5)
    assert vlm._engine.answer_one(request).stop_reason is StopReason.NO_ROOM


def test_server_that_is_killed_is_started_again(vlm: Vlm):
    before = vlm._engine._child._process
    os.kill(before.pid, signal.SIGKILL)
    wait_for(lambda: before.poll() is not None)
    [answer] = vlm._engine.answer(requests()[3:4], lambda: None)
    assert answer.text == "TOTAL 12.34" and vlm._engine._child._process.pid != before.pid
