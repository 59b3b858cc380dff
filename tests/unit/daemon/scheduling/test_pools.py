from pathlib import Path

import pytest

from daemon import config
from daemon.scheduling.pools import Assignment, Stages
from processors.contract import Missing

TOML = """
[schedule]
probe = 10
[recipes.count]
processor = "plaintext"
[recipes.shout]
processor = "plaintext"
upper = true
[recipes.other]
processor = "plaintext"
python = "/usr/bin/python3"
"""


@pytest.fixture
def stages(tmp_path: Path) -> Stages:
    (tmp_path / "config.toml").write_text(TOML)
    made = Stages(config.load(tmp_path / "config.toml"), monotonic=lambda: made.now)
    made.now = 100.0
    return made


def _stage(stages: Stages, recipe: str):
    assignment = stages.assign(recipe)
    assert isinstance(assignment, Assignment)
    return assignment.stage


def test_recipes_that_need_the_same_loaded_processor_share_a_stage(stages: Stages):
    assert _stage(stages, "count") is _stage(stages, "shout")
    assert _stage(stages, "count") is not _stage(stages, "other")
    assert stages.assign("shout").recipe_options.upper is True


def test_reading_goes_to_ocr_while_the_models_weights_are_missing(stages: Stages):
    assignment = stages.assign("read")
    assert assignment.stage.processor == "ocr"
    assert "inboxd models fetch" in assignment.note


def test_what_ocr_cannot_serve_and_what_is_no_recipe_waits_with_the_reason(stages: Stages):
    assert "inboxd models fetch" in stages.assign("describe").why
    assert "no recipe 'gone'" in stages.assign("gone").why
    assert isinstance(stages.assign(None), Missing)


def test_weights_that_come_are_seen_at_the_next_look(stages: Stages, tmp_path: Path):
    assert stages.assign("read").stage.processor == "ocr"
    folder = tmp_path / "state" / "models" / "vlm" / "Qwen--Qwen2.5-VL-3B-Instruct"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"x")
    assert stages.assign("read").stage.processor == "ocr"
    stages.forget_assignments()
    assert stages.assign("read").stage.processor == "vlm"


def test_pauses_of_a_stage_that_does_not_recover_grow_to_a_limit(stages: Stages):
    stage, pauses = _stage(stages, "count"), []
    for _ in range(8):
        stages.park(stage, "away")
        pauses.append(stage.parked_until - stages.now)
        stages.now = stage.parked_until
        stages.unpark(at_once=False)
        assert not stage.is_parked
    assert pauses == [10, 20, 40, 80, 160, 320, 320, 320]


def test_parking_a_parked_stage_changes_nothing(stages: Stages):
    stage = _stage(stages, "count")
    stages.park(stage, "first")
    stages.park(stage, "second")
    assert (stage.parked_for, stage.parked_times) == ("first", 1)
    stages.unpark(at_once=True)
    assert not stage.is_parked


def test_processor_whose_plan_raises_costs_its_jobs_a_wait_and_the_daemon_nothing(stages: Stages, monkeypatch):
    def broken(cls, options, recipe, models):
        raise KeyError("nobody thought of this")

    monkeypatch.setattr("processors.plaintext.Plaintext.plan", classmethod(broken))
    assert "nobody thought of this" in stages.assign("count").why
    assert stages.assign("read").stage.processor == "ocr"
