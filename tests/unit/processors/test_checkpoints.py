"""What is kept of a job from attempt to attempt counts only for what it was made from."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from processors.checkpoints import Parts
from processors.contract import Kind, RecipeOptions, Work


class Options(RecipeOptions):
    language: str = "en"


@pytest.fixture
def work(tmp_path: Path) -> Work:
    (tmp_path / "scan.pdf").write_text("first")
    return Work(
        job="1",
        attempt=1,
        source=tmp_path / "scan.pdf",
        kind=Kind.IMAGE,
        media_type="application/pdf",
        outputs=tmp_path,
        stem="scan",
        recipe="read",
        options=Options(),
        kept=tmp_path / "kept" / "1",
    )


def test_next_attempt_finds_what_the_last_one_finished(work: Work):
    Parts(work, {"model": "m"}).put("page-1", {"text": "é"})
    again = Parts(replace(work, attempt=2), {"model": "m"})
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
def test_part_made_from_something_else_does_not_count(change: Callable[[Work], tuple[Work, dict]], work: Work):
    Parts(work, {"model": "m"}).put("page-1", "old")
    changed, made_by = change(work)
    assert Parts(changed, made_by).get("page-1") is None


def test_part_that_was_cut_off_does_not_count(work: Work):
    parts = Parts(work, {})
    parts.put("page-1", "whole")
    kept = next(work.kept.rglob("page-1.json"))
    kept.write_bytes(kept.read_bytes()[:3])
    assert parts.get("page-1") is None


def test_disk_that_cannot_be_written_costs_nothing_but_the_part(work: Work):
    work.kept.parent.mkdir()
    work.kept.write_text("a file where the folder should be")
    parts = Parts(work, {})
    parts.put("page-1", "x")
    assert parts.get("page-1") is None


def test_work_without_such_a_folder_keeps_nothing(work: Work):
    parts = Parts(replace(work, kept=None), {})
    parts.put("page-1", "x")
    assert parts.get("page-1") is None
