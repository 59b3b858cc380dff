"""The worker process and the wire, with processors that misbehave."""

import os
import subprocess
import sys
from pathlib import Path

import av
import pytest
from paths import PYTHONPATH
from works import work_on

from processors import protocol, registry
from processors.contract import BadInput, FailureKind, Kind, RecipeOptions, Work

pytestmark = pytest.mark.programs


def _work(folder: Path, text: str, name: str = "x.txt") -> Work:
    outputs = folder / f"{name}.out"
    outputs.mkdir()
    (folder / name).write_text(text)
    return work_on(folder / name, outputs=outputs, job=name, kind=Kind.TEXT, media_type="text/plain", stem="x")


def _serve(processor: str, *messages: object) -> tuple[list, subprocess.CompletedProcess]:
    done = subprocess.run(
        [sys.executable, "-m", "processors.worker", processor],
        input=b"".join(protocol.encode(message) for message in messages),
        capture_output=True,
        env={**os.environ, "PYTHONPATH": PYTHONPATH},
        timeout=60,
    )
    return [protocol.decode(line) for line in done.stdout.splitlines()], done


def _load(processor: str, **options: object) -> protocol.Load:
    return protocol.Load(options=registry.find(processor).Options(**options).load_options(), models="models")


def test_batch_is_answered_job_by_job_and_then_done(tmp_path: Path):
    works = [
        _work(tmp_path, text, f"{number}.txt") for number, text in enumerate(["fine", "bad", "error oops", "fine"])
    ]
    batch = protocol.Batch(works=[protocol.work_to_wire(work) for work in works])
    messages, done = _serve("fakes.misbehaving", _load("fakes.misbehaving"), batch)
    assert [type(message).__name__ for message in messages] == [
        *("WorkerLoaded", "WorkFinished", "WorkFailed", "WorkFailed", "WorkFailed", "BatchDone"),
    ]
    assert [message.kind for message in messages[2:5]] == [FailureKind.BAD_INPUT, FailureKind.ERROR, FailureKind.ERROR]
    assert messages[3].message.startswith("Internal error while processing this file.")
    assert "oops" not in messages[3].message and "RuntimeError: oops" in messages[3].trace
    assert done.returncode == 0


def test_a_job_with_options_that_are_not_valid_fails_alone(tmp_path: Path):
    works = [protocol.work_to_wire(_work(tmp_path, "fine", f"{number}.txt")) for number in range(3)]
    works[1]["options"] = {"no_such_option": 1e308}
    messages, done = _serve("fakes.misbehaving", _load("fakes.misbehaving"), protocol.Batch(works=works))
    by_job = {message.job: message for message in messages[1:-1]}
    assert type(messages[-1]) is protocol.BatchDone and done.returncode == 0
    assert type(by_job["0.txt"]) is type(by_job["2.txt"]) is protocol.WorkFinished
    assert by_job["1.txt"].kind is FailureKind.BAD_INPUT and "not valid" in by_job["1.txt"].message


def test_noise_on_stdout_does_not_garble_the_messages(tmp_path: Path):
    batch = protocol.Batch(works=[protocol.work_to_wire(_work(tmp_path, "noisy"))])
    messages, done = _serve("fakes.misbehaving", _load("fakes.misbehaving"), batch)
    assert [type(message).__name__ for message in messages] == ["WorkerLoaded", "WorkFinished", "BatchDone"]
    assert b"more noise on file descriptor 1" in done.stderr


def test_worker_that_ends_loses_no_output_and_runs_exit_handlers(tmp_path: Path):
    work = _work(tmp_path, f"last_words {tmp_path / 'handler'}")
    _, done = _serve(
        "fakes.misbehaving", _load("fakes.misbehaving"), protocol.Batch(works=[protocol.work_to_wire(work)])
    )
    assert b"buffered by the C library" in done.stderr and done.returncode == 0
    assert (tmp_path / "handler").read_text() == "ran"


def test_failed_load_is_reported_and_ends_the_worker(tmp_path: Path):
    messages, done = _serve("fakes.misbehaving", _load("fakes.misbehaving", unavailable_until=str(tmp_path / "no")))
    (failed,) = messages
    assert failed.kind == FailureKind.UNAVAILABLE and "put them at" in failed.message
    assert done.returncode == 0


def test_files_that_a_processor_does_not_report_are_not_published(tmp_path: Path):
    work = _work(tmp_path, "leave_files")
    messages, _ = _serve(
        "fakes.misbehaving", _load("fakes.misbehaving"), protocol.Batch(works=[protocol.work_to_wire(work)])
    )
    assert [file["name"] for file in messages[1].files] == ["x.out"]
    assert os.listdir(work.outputs) == ["x.out"]


def test_disk_that_is_full_is_no_fault_of_the_file():
    from processors.worker import _describe

    kind, message = _describe(OSError(28, "No space left on device", "/outbox/x"))
    assert kind is FailureKind.STORAGE and "No space left" in message


@pytest.mark.parametrize(
    ("error", "kind", "says"),
    [
        (ValueError("zip() argument 2 is longer"), FailureKind.ERROR, "Internal error while processing this file"),
        (UnicodeDecodeError("utf-8", b"x", 0, 1, "bad"), FailureKind.ERROR, "Internal error"),
        (av.error.InvalidDataError(1094995529, "Invalid data", "x"), FailureKind.ERROR, "Internal error"),
        (OSError("broken data stream"), FailureKind.ERROR, "Internal error"),
        (
            RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED"),
            FailureKind.OUT_OF_MEMORY,
            "Not enough memory to process this file",
        ),
        (RuntimeError("CUDA error: device-side assert"), FailureKind.ERROR, "The GPU reported an error"),
        (PermissionError(13, "Permission denied", "/inbox/x"), FailureKind.ERROR, "Permission denied (x)"),
        (MemoryError(), FailureKind.OUT_OF_MEMORY, "Not enough memory"),
        (BadInput("This file is empty."), FailureKind.BAD_INPUT, "This file is empty."),
    ],
)
def test_no_exception_speaks_to_people_but_our_own(error: Exception, kind: FailureKind, says: str):
    from processors.worker import _describe

    found, message = _describe(error)
    assert found is kind and says in message
    assert type(error).__name__ not in message and "[Errno" not in message
    if "Internal error" in message or "GPU" in message:
        assert str(error) not in message and "journalctl -u inboxd" in message


def test_an_internal_error_while_loading_is_put_in_words(tmp_path: Path):
    messages, done = _serve("fakes.misbehaving", protocol.Load(options={"no such option": 1}, models="models"))
    (failed,) = messages
    assert failed.message.startswith("Internal error while loading the processor fakes.misbehaving.")
    assert b"ValidationError" in done.stderr


def test_numbers_that_json_lacks_do_not_reach_the_wire():
    finished = protocol.WorkFinished(
        job="j", attempt=1, files=[], excerpt="", review=[], pages=1, media_seconds=None,
        details={"lowest": float("nan"), "all": [float("inf"), 0.5, {"deep": (float("-inf"),)}]},
    )  # fmt: skip
    line = protocol.encode(finished)
    assert b"NaN" not in line and b"Infinity" not in line
    assert protocol.decode(line).details == {"lowest": None, "all": [None, 0.5, {"deep": [None]}]}
    assert protocol.decode(line.replace(b"0.5", b"1e999")).details["all"][1] is None


_DAMAGED = "page {0} could not be read: Page {0} of this PDF is damaged."


@pytest.mark.parametrize(
    ("reasons", "gathered"),
    [
        ([], []),
        (["No speech was found."], ["No speech was found."]),
        (["page 7: no text was found"], ["page 7: no text was found"]),
        ([_DAMAGED.format(3)], [_DAMAGED.format(3)]),
        (
            [_DAMAGED.format(page) for page in range(2, 10_001)],
            ["pages 2-10000 could not be read: Each page of this PDF is damaged."],
        ),
        (
            [f"page {page}: no text was found" for page in (1, 2, 4)] + ["page 3: 1 unreadable character"],
            ["pages 1-2, 4: no text was found", "page 3: 1 unreadable character"],
        ),
        (["page 1 was reduced", "page 2 was reduced"], ["pages 1-2 were reduced"]),
        (
            ["Page 1 of 9: no text was found.", "Page 2 of 9: no text was found."],
            ["Pages 1-2 of 9: no text was found."],
        ),
        (["page 1: a", "page 12: a"], ["pages 1, 12: a"]),
        (["page 1: see page 12", "page 2: see page 12"], ["pages 1-2: see page 12"]),
    ],
)
def test_equal_reasons_of_many_pages_are_one(reasons: list[str], gathered: list[str]):
    assert protocol.gather_reasons(reasons) == gathered
    assert protocol.gather_reasons(gathered) == gathered


def test_a_review_is_bounded_on_the_wire():
    reasons = [f"reason {number}: {'x' * 10_000}" for number in range(1000)]
    reasons += [f"page {number}: odd" for number in range(1, 1000, 2)]
    finished = protocol.WorkFinished(
        job="j", attempt=1, files=[], excerpt="", review=reasons, pages=1, media_seconds=None, details={}
    )
    found = protocol.decode(protocol.encode(finished)).review
    assert len(found) == 50 and all(len(reason) <= 500 for reason in found)
    assert found[-1] == "And 952 more reasons, which are not listed." and found[0].startswith("reason 0: xx")
    assert protocol.gather_reasons(reasons[1000:]) == ["pages 1, 3, 5, 7, 9, 11, 13, 15, 17, 19 and 490 more: odd"]


def test_paths_that_are_no_utf8_survive_the_wire(tmp_path: Path):
    work = _work(tmp_path, "x", os.fsdecode(b"caf\xe9.txt"))
    message = protocol.decode(protocol.encode(protocol.Batch(works=[protocol.work_to_wire(work)])))
    assert protocol.work_from_wire(message.works[0], RecipeOptions) == work


@pytest.mark.parametrize("line", [b"", b"hello", b"[]", b'{"type": "Nothing"}', b'{"type": "Load"}', b"\xff"])
def test_what_is_no_message_is_refused(line: bytes):
    with pytest.raises(ValueError, match="not a message"):
        protocol.decode(line)


@pytest.mark.parametrize("name", ["worker", "nothing", "../x", "os", "Ocr", ""])
def test_what_is_no_processor_is_not_found(name: str):
    with pytest.raises(LookupError):
        registry.find(name)


def test_every_processor_of_the_package_is_known_by_its_own_name():
    assert registry.known() == ["ocr", "plaintext", "text", "vlm", "whisper"]
    assert [registry.find(name).name for name in registry.known()] == registry.known()
