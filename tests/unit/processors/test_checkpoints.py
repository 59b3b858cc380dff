"""Checkpoints of a job are valid only for the input that they were made from."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from works import work_on

from processors.checkpoints import Checkpoints
from processors.contract import RecipeOptions, Work


class Options(RecipeOptions):
    language: str = "en"


@pytest.fixture
def work(tmp_path: Path) -> Work:
    (tmp_path / "scan.pdf").write_text("first")
    return work_on(tmp_path / "scan.pdf", job="1", options=Options(), checkpoints=tmp_path / "kept" / "1")


def test_next_attempt_finds_what_the_last_one_finished(work: Work):
    Checkpoints(work, {"model": "m"}).put("page-1", {"text": "é"})
    again = Checkpoints(replace(work, attempt=2), {"model": "m"})
    assert (again.get("page-1"), again.get("page-2")) == ({"text": "é"}, None)


def _other_options(work: Work) -> tuple[Work, dict]:
    return replace(work, options=Options(language="de")), {"model": "m"}


def _other_model(work: Work) -> tuple[Work, dict]:
    return work, {"model": "larger"}


def _changed_file(work: Work) -> tuple[Work, dict]:
    work.source.write_text("second, longer")
    return work, {"model": "m"}


def _other_prompt(work: Work) -> tuple[Work, dict]:
    prompt = work.source.with_name("scan.pdf.prompt")
    prompt.write_text("What is it?")
    return replace(work, sidecars={"prompt": prompt}), {"model": "m"}


@pytest.mark.parametrize("change", [_other_options, _other_model, _changed_file, _other_prompt])
def test_checkpoint_of_other_input_does_not_count(change: Callable[[Work], tuple[Work, dict]], work: Work):
    Checkpoints(work, {"model": "m"}).put("page-1", "old")
    changed, made_by = change(work)
    assert Checkpoints(changed, made_by).get("page-1") is None


def test_truncated_checkpoint_does_not_count(work: Work):
    checkpoints = Checkpoints(work, {})
    checkpoints.put("page-1", "whole")
    saved = next(work.checkpoints.rglob("page-1.json"))
    saved.write_bytes(saved.read_bytes()[:3])
    assert checkpoints.get("page-1") is None


def test_disk_that_cannot_be_written_costs_only_the_checkpoint(work: Work):
    work.checkpoints.parent.mkdir()
    work.checkpoints.write_text("a file where the folder should be")
    checkpoints = Checkpoints(work, {})
    checkpoints.put("page-1", "x")
    assert checkpoints.get("page-1") is None


def test_work_without_a_folder_saves_nothing(work: Work):
    checkpoints = Checkpoints(replace(work, checkpoints=None), {})
    checkpoints.put("page-1", "x")
    assert checkpoints.get("page-1") is None
