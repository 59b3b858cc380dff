"""A model server that the worker starts itself: real processes, and the text of the engine in this process."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from paths import PYTHONPATH, ROOT
from pydantic import ValidationError
from sandbox import wait_for
from tiny_vlm import DRAWINGS, READ, TINY, Asked, a_work, answer, drawing

from processors import protocol
from processors.contract import FailureKind, NotReady, Progress, Runnable, Unavailable, WorkProgress
from processors.remote import child, client
from processors.vlm import AskOptions, Vlm, VlmOptions

pytestmark = pytest.mark.programs

FAKE = ("env", "PORT={port}", "KEY={key}", sys.executable, "-m", "fakes.model_server")


@pytest.fixture(autouse=True)
def surroundings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PYTHONPATH", PYTHONPATH)
    monkeypatch.chdir(ROOT)
    monkeypatch.delenv(child.KEY, raising=False)
    monkeypatch.setattr(client, "_FIRST_PAUSE_SECONDS", 0.001)
    monkeypatch.setattr(child, "_POLL_SECONDS", 0.02)


@pytest.fixture
def load() -> Iterator[Callable[..., Vlm]]:
    started: list[Vlm] = []

    def load(*server: str, reports: list[WorkProgress] | None = None, **options: Any) -> Vlm:
        vlm = Vlm()
        started.append(vlm)
        send = (lambda report: None) if reports is None else reports.append
        made = VlmOptions(**{"server": server, "model": "tiny", **options})
        loaded = vlm.load(made, Path("nowhere"), Progress(send))
        assert (loaded.engine, loaded.model) == ("server", made.model)
        return vlm

    yield load
    for vlm in started:
        vlm.unload()


def ask(vlm: Vlm, folder: Path, source: Path = DRAWINGS / "line.png", prompt: str = "What is it?") -> Asked:
    work = a_work(source, folder, AskOptions(prompt=prompt, retries=0))
    ((_, outcome),) = vlm.process([work], Progress(lambda message: None))
    return Asked(outcome, work, [])


def pid_of_server(vlm: Vlm) -> int:
    return vlm._engine._child._process.pid


def is_alive(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def test_server_is_started_asked_and_ended(load, tmp_path):
    reports: list[WorkProgress] = []
    vlm = load(*FAKE, reports=reports)
    assert ask(vlm, tmp_path).text == "I see 196 x 84. I was asked: What is it?"
    assert reports and reports[-1].unit == "seconds"
    server = pid_of_server(vlm)
    vlm.unload()
    assert not is_alive(server)


def test_only_requests_with_the_key_are_served(load):
    import httpx2

    vlm = load(*FAKE)
    assert httpx2.get(f"{vlm._engine._child.url}/models", trust_env=False, verify=False).status_code == 401


def test_pages_are_sent_as_soon_as_they_are_decoded(load, tmp_path):
    first, *rest = [drawing("line")] * 5
    first.save(tmp_path / "five.tiff", save_all=True, append_images=rest)
    vlm = load(*FAKE)
    assert vlm._engine.pages_at_once == 32
    assert [page["answer"][:14] for page in ask(vlm, tmp_path, tmp_path / "five.tiff").pages] == ["I see 196 x 84"] * 5


def test_server_that_ended_is_started_again(load, tmp_path):
    vlm = load(*FAKE)
    before = pid_of_server(vlm)
    os.kill(before, signal.SIGKILL)
    wait_for(lambda: not is_alive(before))
    assert ask(vlm, tmp_path).text.startswith("I see 196 x 84.")
    assert pid_of_server(vlm) != before


def test_page_at_which_the_server_ends_is_asked_again(load, tmp_path):
    import httpx2

    vlm = load(*FAKE)
    url = vlm._engine._child.url.removesuffix("/v1")
    httpx2.post(f"{url}/behave", json=[{"exit": 7}], trust_env=False, verify=False)
    assert ask(vlm, tmp_path).text.startswith("I see")


def test_page_at_which_the_server_always_ends_fails_alone(load, tmp_path):
    vlm = load(*FAKE)
    failed = ask(vlm, tmp_path, prompt="Exit with 9.").failed
    assert failed.kind is FailureKind.ERROR and "ended while it answered this page (status 9" in failed.message
    assert ask(vlm, tmp_path).text.startswith("I see"), "the next page is answered"


@pytest.mark.parametrize(
    ("command", "why"),
    [
        (("nowhere/vllm", "{port}"), "cannot run nowhere/vllm: No such file or directory"),
        (("sh", "-c", "echo {port} >/dev/null; echo CUDA is too old; exit 3"), "status 3: CUDA is too old"),
    ],
)
def test_server_that_does_not_start_is_unavailable_and_its_words_are_shown(command, why, load):
    with pytest.raises(Unavailable, match=f"ended while it started .*{why}"):
        load(*command)


def children(pid: int) -> list[int]:
    """The processes that a process, or a thread of it, started."""
    return [int(child) for path in Path(f"/proc/{pid}/task").glob("*/children") for child in path.read_text().split()]


def test_server_that_never_becomes_ready_is_ended(load):
    with pytest.raises(Unavailable, match="not ready within 0.3 s.*start_timeout"):
        load("sh", "-c", "echo {port}; exec sleep 60", start_timeout=0.3)
    assert b"sleep\x0060\x00" not in [Path(f"/proc/{child}/cmdline").read_bytes() for child in children(os.getpid())]


def test_server_ends_with_a_worker_that_is_killed():
    options = VlmOptions(server=FAKE, model="tiny")
    worker = subprocess.Popen(
        [sys.executable, "-P", "-m", "processors.worker", "vlm"], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, env={**os.environ, "PYTHONPATH": f"{ROOT}:{PYTHONPATH}"},
    )  # fmt: skip
    assert worker.stdin is not None and worker.stdout is not None
    worker.stdin.write(protocol.encode(protocol.Load(options=options.load_options(), models="nowhere")))
    worker.stdin.flush()
    while not isinstance(message := protocol.decode(worker.stdout.readline()), protocol.WorkerLoaded):
        assert not isinstance(message, protocol.LoadFailed), message
    servers = children(worker.pid)
    assert servers and all(map(is_alive, servers))
    worker.kill()
    worker.wait()
    wait_for(lambda: not any(map(is_alive, servers)))
    worker.stdin.close()
    worker.stdout.close()


def test_worker_of_a_server_imports_no_torch():
    code = "import sys, processors.vlm.engine.served, processors.vlm.document.batch; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


@pytest.mark.slow
def test_text_is_that_of_the_engine_in_this_process(load, tmp_path, vlm: Vlm):
    served = load(*FAKE, "{model}", model=str(TINY))
    for name, prompt in (("line", READ), ("lines-two", READ)):
        texts = {ask(each, tmp_path, DRAWINGS / f"{name}.png", prompt).text for each in (served, vlm)}
        assert texts == {answer(name)}


# ---------------------------------------------------------------------------------------------- settings


def test_vllm_is_run_with_the_weights_that_are_stored(tmp_path):
    options = VlmOptions(engine="vllm", server_args=("--tensor-parallel-size", "2"))
    assert options.server_command[:3] == ("vllm", "serve", "{model}")
    assert options.server_command[-2:] == ("--tensor-parallel-size", "2")
    assert options.at_once == 32 and VlmOptions().at_once == 8 and VlmOptions(pages_at_once=5).at_once == 5
    plan = Vlm.plan(options, AskOptions(task="read"), tmp_path)
    assert isinstance(plan, NotReady) and "inboxd models fetch Qwen/Qwen3-VL-4B-Instruct" in plan.why
    assert Vlm.plan(VlmOptions(engine="vllm", model=str(TINY)), AskOptions(task="read"), tmp_path) == Runnable()
    assert Vlm.plan(VlmOptions(server=FAKE), AskOptions(task="read"), tmp_path) == Runnable()


@pytest.mark.parametrize(
    "wrong",
    [
        {"server": ("llama-server",)},
        {"server": ("llama-server", "{port}"), "engine": "transformers"},
        {"server": ("llama-server", "{port}"), "engine": "openai", "base_url": "http://localhost:1/v1"},
        {"server": ()},
        {"server_args": ("--x",)},
    ],
)
def test_settings_that_contradict_each_other_are_refused(wrong):
    with pytest.raises(ValidationError):
        VlmOptions(**wrong)
