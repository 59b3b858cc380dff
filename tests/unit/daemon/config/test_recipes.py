"""What is said of each recipe."""

import json
from pathlib import Path

import pytest

from daemon import config
from daemon.config.option_texts import OPTION_TEXTS
from daemon.config.recipes import describe_recipes


def _describe(tmp_path: Path, **tables: object) -> dict[str, dict]:
    settings = config.parse(tables, source=None, home=tmp_path)
    return {each["name"]: dict(each) for each in describe_recipes(settings)}


def test_recipes_name_their_folders_and_what_they_wait_for(tmp_path: Path):
    found = _describe(
        tmp_path,
        inbox={"folders": {"bank": {"image": "bank-statement"}}},
        recipes={"loud": {"processor": "plaintext", "upper": True}},
    )
    assert found["bank-statement"]["folders"] == ["bank"] and found["bank-statement"]["is_built_in"]
    assert found["loud"] == found["loud"] | {
        "folders": [],
        "is_built_in": False,
        "options": {"then": [], "upper": True},
    }
    assert found["read"]["runs_on"] == "ocr", "the model is not downloaded"
    assert found["describe"]["runs_on"] is None and "inboxd models fetch" in found["describe"]["note"]


def test_recipe_on_a_server_is_ready_with_a_condition(tmp_path: Path):
    server = {"engine": "openai", "base_url": ["http://a:1/v1", "http://b:1/v1"], "model": "m"}
    found = _describe(tmp_path, processors={"vlm": server})
    assert found["ask"]["runs_on"] == "vlm"
    assert found["ask"]["note"] == (
        "Its jobs run if http://a:1/v1 or http://b:1/v1 responds; inboxd does not check this in advance."
    )
    assert found["transcribe"]["note"] == "" or found["transcribe"]["runs_on"] is None


def test_all_of_it_is_json_and_every_schema_accepts_the_options_in_force(tmp_path: Path):
    jsonschema = pytest.importorskip("jsonschema")
    for recipe in json.loads(json.dumps(list(_describe(tmp_path).values()))):
        jsonschema.validate(recipe["options"], recipe["schema"])


@pytest.mark.parametrize("processor", ["ocr", "vlm", "whisper"])
def test_list_may_be_one_string(processor: str, tmp_path: Path):
    recipe = {"processor": processor, "formats": "txt, json", **({"prompt": "?"} if processor == "vlm" else {})}
    assert _describe(tmp_path, recipes={"x": recipe})["x"]["options"]["formats"] == ["txt", "json"]


def test_every_option_that_a_form_can_set_is_described_and_has_a_default(tmp_path: Path):
    for recipe in _describe(tmp_path, recipes={"count": {"processor": "plaintext"}}).values():
        assert recipe["settable"], recipe["name"]
        for name in recipe["settable"]:
            option = recipe["schema"]["properties"][name]
            assert 10 < len(option["description"]) < 120 and option["description"].endswith("."), name
            assert "default" in option, name
    assert "json_schema" not in _describe(tmp_path)["ask"]["settable"]


def test_no_text_describes_an_option_that_is_gone(tmp_path: Path):
    recipes = _describe(tmp_path, recipes={"count": {"processor": "plaintext"}}).values()
    assert OPTION_TEXTS.keys() <= {name for recipe in recipes for name in recipe["settable"]}


def test_processor_that_fails_to_plan_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    from processors.plaintext import Plaintext

    monkeypatch.setattr(Plaintext, "plan", classmethod(lambda *_: 1 / 0))
    found = _describe(tmp_path, recipes={"count": {"processor": "plaintext"}})
    assert found["count"]["runs_on"] is None and "ZeroDivisionError" in found["count"]["note"]
