from pathlib import Path

import pytest
from manual_daemon import ManualClock

from daemon import config
from daemon.config.current import CurrentSettings
from daemon.scheduling.assignment import Assignment
from daemon.scheduling.pools import Pools
from processors.contract import NotReady

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
def pools(tmp_path: Path) -> Pools:
    (tmp_path / "config.toml").write_text(TOML)
    return Pools(CurrentSettings(config.load(tmp_path / "config.toml")), ManualClock())


def _pool(pools: Pools, recipe: str):
    assignment = pools.assign(recipe)
    assert isinstance(assignment, Assignment)
    return assignment.pool


def test_recipes_that_need_the_same_loaded_processor_share_a_pool(pools: Pools):
    assert _pool(pools, "count") is _pool(pools, "shout")
    assert _pool(pools, "count") is not _pool(pools, "other")
    assert pools.assign("shout").recipe_options.upper is True


def test_ocr_stands_in_while_the_weights_of_the_vlm_are_missing(pools: Pools):
    assignment = pools.assign("read")
    assert assignment.pool.processor == "ocr"
    assert "inboxd models fetch" in assignment.note


def test_result_shows_only_options_that_differ_or_that_somebody_set(pools: Pools):
    assert pools.assign("count").shown_options({}) == {}
    assert pools.assign("shout").shown_options({}) == {"upper": True}
    assert pools.assign("count").shown_options({"upper": "x.txt.toml"}) == {"upper": False}


def test_omitted_options_had_the_defaults_of_the_version_that_wrote_the_result(pools: Pools):
    every = {"then": [], "upper": False}  # as results of earlier versions show them
    count, shout = pools.assign("count"), pools.assign("shout")
    assert count.has_options({}, is_of_this_version=True) and count.has_options(every, is_of_this_version=False)
    assert not count.has_options({}, is_of_this_version=False), "another version may have had other defaults"
    assert shout.has_options({"upper": True}, is_of_this_version=True)
    assert not shout.has_options({}, is_of_this_version=True) and not shout.has_options([], is_of_this_version=True)


def test_recipe_without_weights_or_definition_waits_with_the_reason(pools: Pools):
    assert "inboxd models fetch" in pools.assign("describe").why
    assert "no recipe 'gone'" in pools.assign("gone").why
    assert isinstance(pools.assign(None), NotReady)


def test_new_weights_are_found_once_assignments_are_forgotten(pools: Pools, tmp_path: Path):
    assert pools.assign("read").pool.processor == "ocr"
    folder = tmp_path / "state" / "models" / "vlm" / "Qwen--Qwen3-VL-4B-Instruct"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").write_bytes(b"x")
    assert pools.assign("read").pool.processor == "ocr"
    pools.forget_assignments()
    assert pools.assign("read").pool.processor == "vlm"


def test_pauses_of_a_parked_pool_double_up_to_a_limit(pools: Pools):
    (slot,), pauses = _pool(pools, "count").slots, []
    for _ in range(8):
        pools.park(slot, "away")
        pauses.append(slot.parked_until - pools._clock.seconds)
        pools._clock.seconds = slot.parked_until
        pools.unpark(at_once=False)
        assert not slot.is_parked
    assert pauses == [10, 20, 40, 80, 160, 320, 320, 320]


def test_parking_a_parked_pool_changes_nothing(pools: Pools):
    pool = _pool(pools, "count")
    (slot,) = pool.slots
    pools.park(slot, "first")
    pools.park(slot, "second")
    assert (pool.parked_for, slot.parked_times) == ("first", 1) and pool.is_parked
    pools.unpark(at_once=True)
    assert not pool.is_parked


def test_processor_whose_plan_raises_only_makes_its_jobs_wait(pools: Pools, monkeypatch):
    def broken(cls, options, recipe, models):
        raise KeyError("nobody thought of this")

    monkeypatch.setattr("processors.plaintext.Plaintext.plan", classmethod(broken))
    assert "nobody thought of this" in pools.assign("count").why
    assert pools.assign("read").pool.processor == "ocr"
