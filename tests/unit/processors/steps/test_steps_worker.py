"""Steps in a real worker, whose child is a processor that misbehaves as the text orders."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from paths import PYTHONPATH
from works import work_on

from processors import protocol, registry
from processors.contract import FailureKind, Step, Work
from processors.plaintext import CountOptions
from processors.steps.runner import step_stem

pytestmark = pytest.mark.programs

STEP = Step(
    recipe="obey",
    processor="fakes.misbehaving",
    options=registry.find("fakes.misbehaving").Options().load_options(),
    recipe_options={},
    python=None,
    timeout=30.0,
    wants_prompt=False,
)


def _work(folder: Path, name: str, text: str, **changes: object) -> Work:
    outputs = folder / f"{name}.out"
    outputs.mkdir(exist_ok=True)
    for left in outputs.iterdir():
        left.unlink()
    source = folder / f"{name}.txt"
    if not source.exists():
        source.write_text(text)
    work = work_on(
        source,
        outputs=outputs,
        job=name,
        recipe="count",
        options=CountOptions(then="obey"),
        checkpoints=folder / f"{name}.kept",
        then=(STEP,),
    )
    return replace(work, **changes)


def _serve(*works: Work) -> dict[str, protocol.WorkFinished | protocol.WorkFailed]:
    load = protocol.Load(options=registry.find("plaintext").Options().load_options(), models="models")
    batch = protocol.Batch(works=[protocol.work_to_wire(work) for work in works])
    done = subprocess.run(
        [sys.executable, "-m", "processors.worker", "plaintext"],
        input=protocol.encode(load) + protocol.encode(batch),
        capture_output=True,
        env={**os.environ, "PYTHONPATH": PYTHONPATH},
        timeout=60,
    )
    messages = [protocol.decode(line) for line in done.stdout.splitlines()]
    assert done.returncode == 0 and isinstance(messages[-1], protocol.BatchDone), done.stderr.decode()
    return {each.job: each for each in messages if isinstance(each, protocol.WorkFinished | protocol.WorkFailed)}


def test_step_that_fails_in_any_way_does_not_lose_the_first_result(tmp_path: Path):
    last = {
        "fine": "fine",
        "exits": "exit 3",
        "damaged": "bad",
        "broken": "error oops",
        "silent": " ... ",
    }
    found = _serve(*(_work(tmp_path, name, text) for name, text in last.items()))
    for name, text in last.items():
        finished = found[name]
        assert isinstance(finished, protocol.WorkFinished)
        assert (tmp_path / f"{name}.out" / f"{name}.txt").read_text() == text
    assert [file["name"] for file in found["fine"].files] == ["fine.txt", "fine.obey.out"]
    assert (tmp_path / "fine.out" / "fine.obey.out").read_text() == "fine\n"
    assert found["fine"].review == [] and found["silent"].review == []
    assert "exited with status 3" in found["exits"].review[0]
    assert "This file is damaged." in found["damaged"].review[0]
    assert "inboxd submit broken.txt --recipe obey" in found["broken"].review[0]
    outcomes = {name: finished.details["steps"][0]["outcome"] for name, finished in found.items()}
    failed = dict.fromkeys(("exits", "damaged", "broken"), "failed")
    assert outcomes == {"fine": "finished", "silent": "no text", **failed}
    assert not list(tmp_path.glob("*.out/.step")), "nothing but results is in the outputs"


@pytest.mark.parametrize("stem", ["talk", "x" * 200, "ü" * 100, "x" * 120])
@pytest.mark.parametrize("recipe", ["minutes", "r" * 200, "ü" * 150])
def test_names_of_outputs_have_room_for_a_suffix(stem: str, recipe: str):
    name = step_stem(stem, recipe)
    assert name.startswith(f"{stem}.{recipe[:7]}") and len(f"{name} (10).statement.json".encode()) <= 255
    assert len(recipe) > 7 or name == f"{stem}.{recipe}"


def test_retry_repeats_only_the_step(tmp_path: Path):
    marker = tmp_path / "came"
    work = _work(tmp_path, "later", f"unavailable {marker}", is_last_attempt=False)
    failed = _serve(work)["later"]
    assert isinstance(failed, protocol.WorkFailed) and failed.kind is FailureKind.ERROR and failed.is_its_own
    assert failed.message == 'The recipe "obey": The server is away.'
    (saved,) = tmp_path.glob("later.kept/steps/*/first/later.txt")
    saved.write_text("fine, and not made again")
    finished = _serve(_work(tmp_path, "later", ""))["later"]
    assert isinstance(finished, protocol.WorkFinished)
    assert (tmp_path / "later.out" / "later.txt").read_text() == "fine, and not made again"
    assert (tmp_path / "later.out" / "later.obey.out").read_text() == "fine,\n"


def test_step_without_progress_is_ended(tmp_path: Path):
    step = replace(STEP, timeout=1.5)
    found = _serve(_work(tmp_path, "hangs", "hang", then=(step,)), _work(tmp_path, "fine", "fine"))  # of 30 s
    assert "no progress for 1.5 seconds" in found["hangs"].review[0]
    assert found["fine"].review == []


@pytest.mark.parametrize("attempt_is_last", [True, False])
def test_step_that_ended_its_worker_is_not_tried_in_the_last_attempt(tmp_path: Path, attempt_is_last: bool):
    _serve(_work(tmp_path, "fine", "fine"))
    (step,) = tmp_path.glob("fine.kept/steps/*/step-*")
    step.rename(f"{step}.part")  # as a worker leaves it that is killed while the step runs
    finished = _serve(_work(tmp_path, "fine", "fine", is_last_attempt=attempt_is_last))["fine"]
    assert isinstance(finished, protocol.WorkFinished)
    assert bool(finished.review) == attempt_is_last
    assert (tmp_path / "fine.out" / "fine.txt").read_text() == "fine"


def test_interpreter_that_is_missing_is_reported(tmp_path: Path):
    step = replace(STEP, python="/no/such/python")
    found = _serve(_work(tmp_path, "fine", "fine", then=(step,)))["fine"]
    assert isinstance(found, protocol.WorkFinished) and "is missing" in found.review[0]


def test_step_whose_files_cannot_be_copied_leaves_none_of_them(tmp_path: Path):
    _serve(_work(tmp_path, "fine", "fine"))
    (saved,) = tmp_path.glob("fine.kept/steps/*/step-*")
    (saved / "fine.obey.out").unlink()
    (saved / "fine.obey.out").mkdir()
    finished = _serve(_work(tmp_path, "fine", "fine"))["fine"]
    assert isinstance(finished, protocol.WorkFinished) and "is missing" in finished.review[0]
    assert [path.name for path in (tmp_path / "fine.out").iterdir()] == ["fine.txt"]
