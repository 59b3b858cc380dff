"""What the daemon learns of the VLM processor without loading it: whether a recipe can run, and how to fix it."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from paths import ROOT
from pydantic import ValidationError

from daemon import config
from daemon.core.errors import ConfigError
from processors.contract import NotReady, Runnable, Substitute
from processors.vlm import AskOptions, Vlm, VlmOptions
from processors.vlm.extract import load_schema
from processors.vlm.families import GENERAL

TINY = ROOT / "tests" / "data" / "tiny-vlm"
NAME = "Qwen/Qwen3-VL-4B-Instruct"
FETCH = f'"inboxd models fetch {NAME}"'
REVISION = "66285546d2b821cf421d4f5eb2576359d3770cd3"
SHARDS = ("model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors")


@pytest.fixture(autouse=True)
def empty_hub_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Isolate the tests from huggingface_hub's cache on this machine."""
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    monkeypatch.setenv("HF_HOME", str(tmp_path / "hf"))
    return tmp_path / "hf" / "hub"


def plan(models: Path, task: str = "ask", engine: str = "auto", model: str = NAME):
    return Vlm.plan(VlmOptions(model=model, engine=engine), AskOptions(task=task, prompt="?"), models)


def put_shards(folder: Path, *shards: str) -> Path:
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    index = {"weight_map": {f"layer.{number}": shard for number, shard in enumerate(SHARDS)}}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index))
    for shard in shards:
        (folder / shard).touch()
    return folder


def put_in_cache(hub: Path, *shards: str) -> None:
    cached = hub / f"models--{NAME.replace('/', '--')}"
    put_shards(cached / "snapshots" / REVISION, *shards)
    (cached / "refs").mkdir()
    (cached / "refs" / "main").write_text(REVISION)


def test_model_of_a_given_folder_is_ready(tmp_path):
    assert plan(tmp_path, model=str(TINY)) == Runnable()
    assert plan(tmp_path, model=str(TINY), engine="transformers") == Runnable()


def test_fetched_model_is_ready(tmp_path):
    put_shards(tmp_path / "vlm" / "Qwen--Qwen3-VL-4B-Instruct", *SHARDS)
    assert plan(tmp_path) == Runnable()


def test_model_of_one_file_is_ready(tmp_path):
    folder = tmp_path / "vlm" / "tiny"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text("{}")
    (folder / "model.safetensors").touch()
    assert plan(tmp_path, model="tiny") == Runnable()


def test_model_in_the_hub_cache_is_ready(tmp_path, empty_hub_cache):
    put_in_cache(empty_hub_cache, *SHARDS)
    assert plan(tmp_path) == Runnable()


@pytest.mark.parametrize("place", ["models", "cache"])
def test_model_that_lacks_a_shard_is_not_ready(place, tmp_path, empty_hub_cache):
    if place == "cache":
        put_in_cache(empty_hub_cache, SHARDS[0])
    else:
        put_shards(tmp_path / "vlm" / "Qwen--Qwen3-VL-4B-Instruct", SHARDS[0])
    answer = plan(tmp_path)
    assert isinstance(answer, NotReady)
    assert SHARDS[1] in answer.why and FETCH in answer.why
    assert ("inboxd models remove" in answer.why) == (place == "models")


def test_reading_falls_back_to_ocr_and_reports_why(tmp_path):
    answer = Vlm.plan(VlmOptions(), AskOptions(task="read"), tmp_path)
    assert isinstance(answer, Substitute)
    assert (answer.processor, answer.recipe) == ("ocr", {})
    assert FETCH in answer.why and "prompt" not in answer.why


def test_prompt_that_ocr_cannot_follow_is_reported(tmp_path):
    answer = plan(tmp_path, task="read")
    assert isinstance(answer, Substitute) and "prompt was not followed" in answer.why


@pytest.mark.parametrize("task", ["ask", "describe"])
def test_tasks_that_ocr_cannot_do_wait_for_the_model(task, tmp_path):
    answer = plan(tmp_path, task=task)
    assert isinstance(answer, NotReady)
    assert FETCH in answer.why and "OCR reads text, but this needs the model." in answer.why


@pytest.mark.parametrize("task", ["read", "ask", "describe"])
def test_named_engine_has_no_substitute(task, tmp_path):
    answer = plan(tmp_path, task=task, engine="transformers")
    assert isinstance(answer, NotReady) and FETCH in answer.why


def test_missing_folder_is_named_and_not_fetched(tmp_path):
    answer = plan(tmp_path, model=str(tmp_path / "nowhere"))
    assert isinstance(answer, NotReady)
    assert str(tmp_path / "nowhere") in answer.why and "fetch" not in answer.why


def test_damaged_index_is_not_ready(tmp_path):
    folder = put_shards(tmp_path / "vlm" / "Qwen--Qwen3-VL-4B-Instruct", *SHARDS)
    (folder / "model.safetensors.index.json").write_text("{")
    assert isinstance(plan(tmp_path), NotReady)


@pytest.mark.parametrize(
    ("recipe", "wants"),
    [({}, True), ({"prompt": "What?"}, False), ({"task": "read"}, False), ({"task": "summarize"}, False)],
)
def test_only_a_recipe_without_a_prompt_waits_for_one(recipe, wants):
    assert Vlm.wants_prompt(AskOptions(**recipe)) is wants


@pytest.mark.parametrize(
    "wrong",
    [
        {"prompt": " "},
        {"prompt": "x" * 16_385},
        {"formats": ()},
        {"task": "paint"},
        {"dpi": 5},
        {"task": "extract"},
        {"task": "ask", "json_schema": {"type": "object"}},
        {"task": "extract", "json_schema": {"type": "object"}, "formats": ("md",)},
    ],
)
def test_recipe_that_cannot_work_is_refused_at_start(wrong):
    with pytest.raises(ValidationError):
        AskOptions(**wrong)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (None, "invoice.json cannot be read (No such file or directory)"),
        ("{", "invoice.json is not JSON"),
        ("[1]", "it must be an object"),
        ('{"type": "objekt"}', "is not a valid JSON Schema: at $.type"),
        ('{"properties": {}}', '"type": "object" at its top'),
        ('{"type": "object", "properties": {"a": {"$ref": "https://example.org/a"}}}', "nothing is fetched"),
        ('{"type": "object", "properties": {"a": {"$ref": "#/$defs/a"}}}', "cannot be compiled to a grammar"),
        ('{"type": "object", "properties": {"a": {"type": "string", "pattern": "(?=x)y"}}}', "look-ahead"),
        ('{"type": "object"}' + " " * 300_000, "too long for a schema"),
    ],
    ids=["gone", "no json", "list", "wrong type", "no type", "remote", "dangling", "pattern", "long"],
)
def test_wrong_schema_is_a_config_error_that_shows_what_to_fix(content, expected, tmp_path):
    if content is not None:
        (tmp_path / "invoice.json").write_text(content)
    (tmp_path / "config.toml").write_text(
        '[recipes.invoice]\nprocessor = "vlm"\ntask = "extract"\njson_schema = "invoice.json"\n'
    )
    with pytest.raises(ConfigError) as error:
        config.load(tmp_path / "config.toml")
    assert '[recipes.invoice] json_schema = "invoice.json"' in str(error.value) and expected in str(error.value)


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"\0\0\0{\xff\xff\xff\xff", "is not valid UTF-8"),
        (b'{"type": "obj\xe9"}', "is not valid UTF-8"),
        (b'{"a":' * 5000, "is nested too deeply"),
        (b'{"type": "object", "maxLength": ' + b"9" * 5000 + b"}", "too many digits"),
        (b'{"type": "object", "not": ' + b'{"not": ' * 300 + b"{}" + b"}" * 301, "nested too deeply"),
    ],
    ids=["utf-32", "latin-1", "deep", "digits", "deep schema"],
)
def test_schema_file_is_refused_without_jargon_of_python(content: bytes, expected: str, tmp_path):
    (tmp_path / "x.json").write_bytes(content)
    with pytest.raises(ValueError, match=expected) as error:
        load_schema("x.json", tmp_path)
    assert not any(word in str(error.value) for word in ("codec", "recursion", "sys.", "Error"))


@pytest.mark.parametrize(("name", "expected"), [("a\0b.json", "NUL"), ("~nobody-at-all/x.json", "home folder")])
def test_invalid_file_name_is_refused(name: str, expected: str, tmp_path):
    with pytest.raises(ValueError, match=expected):
        load_schema(name, tmp_path)


def test_schema_beside_config_toml_becomes_part_of_the_recipe(tmp_path):
    schema = {"type": "object", "properties": {"total": {"type": "string"}}}
    (tmp_path / "invoice.json").write_text(json.dumps(schema))
    (tmp_path / "config.toml").write_text(
        '[recipes.invoice]\nprocessor = "vlm"\ntask = "extract"\njson_schema = "invoice.json"\n'
    )
    recipe = config.load(tmp_path / "config.toml").recipes["invoice"].recipe_options
    assert recipe.json_schema == schema
    assert AskOptions.model_validate(recipe.model_dump(mode="json")) == recipe  # as the worker gets it


@pytest.mark.parametrize("wrong", [{"device": "gpu"}, {"model": ""}, {"max_pixels": 10}, {"engine": "tgi"}])
def test_options_that_cannot_work_are_refused_at_start(wrong):
    with pytest.raises(ValidationError):
        VlmOptions(**wrong)


def test_daemon_imports_and_plans_without_any_engine():
    script = """
import sys
from pathlib import Path
from processors.registry import find
vlm = find("vlm")
vlm.plan(vlm.Options(), vlm.Recipe(), Path("nowhere"))
heavy = {"torch", "transformers", "huggingface_hub", "safetensors", "PIL", "numpy", "pypdfium2", "pillow_heif"}
print(sorted(heavy & set(sys.modules)))
"""
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.stdout.strip(), done.returncode) == ("[]", 0), done.stderr


def test_statements_have_more_pixels_on_a_gpu_only():
    assert VlmOptions().pixels_of_money(GENERAL, "cuda") == 2_300_000
    assert VlmOptions().pixels_of_money(GENERAL, "cpu") == VlmOptions().pixels(GENERAL) == 1_280_000
    assert VlmOptions(max_pixels=900_000).pixels_of_money(GENERAL, "cuda") == 900_000
