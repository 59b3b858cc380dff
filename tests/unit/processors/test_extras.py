"""What a recipe does whose extra is missing: it names the command that adds it."""

import json
import re
import sys
import tomllib
from importlib.metadata import PackageNotFoundError, PathDistribution, distribution
from pathlib import Path

import pytest
from paths import ROOT

from processors import extras
from processors.contract import NotReady, Runnable, Substitute
from processors.vlm import AskOptions, Vlm, VlmOptions
from processors.whisper import TranscribeOptions, Whisper, WhisperOptions

LIBRARIES = {name for libraries in extras.LIBRARIES.values() for name in libraries}


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch):
    """A function that hides libraries."""

    def hide(*names: str) -> None:
        known = extras._is_installed
        monkeypatch.setattr(extras, "_is_installed", lambda name: name not in names and known(name))

    return hide


@pytest.fixture
def installed_by(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    """A function that pretends that this environment is in `prefix`, not in a clone."""

    def place(prefix: str, *, gpu: bool = False) -> None:
        monkeypatch.setattr(sys, "prefix", prefix)
        monkeypatch.setattr(sys, "executable", f"{prefix}/bin/python")
        monkeypatch.setattr(extras, "_CLONE", tmp_path)
        monkeypatch.setattr(extras, "_GPU", tmp_path / ("" if gpu else "none"))
        if extras.distribution is distribution:
            monkeypatch.setattr(extras, "distribution", from_index)

    def from_index(_name: str) -> PathDistribution:
        raise PackageNotFoundError("inboxd")

    return place


def test_nothing_is_missing_where_everything_is_installed():
    assert extras.why_missing("speech", "vlm") == ""


def test_speech_without_its_extra_waits_for_the_command(without, installed_by, tmp_path: Path):
    without("torch", "whisper")
    installed_by("/opt/inboxd", gpu=True)
    plan = Whisper.plan(WhisperOptions(), TranscribeOptions(), tmp_path)
    assert isinstance(plan, NotReady)
    assert 'torch, whisper are not installed. Run: /opt/inboxd/bin/python -m pip install "inboxd[speech]"' in plan.why


def test_faster_whisper_needs_its_own_extra_too(without, installed_by, tmp_path: Path):
    without("faster_whisper", "ctranslate2")
    installed_by("/opt/inboxd")
    options = WhisperOptions(engine="faster-whisper", model="tiny")
    plan = Whisper.plan(options, TranscribeOptions(), tmp_path)
    assert isinstance(plan, NotReady) and '"inboxd[faster-whisper]"' in plan.why


def test_worker_in_another_environment_has_its_own_libraries(without, tmp_path: Path):
    without("torch", "whisper")
    assert Whisper.plan(WhisperOptions(python="/opt/speech/bin/python"), TranscribeOptions(), tmp_path) == Runnable()


def test_model_with_weights_but_without_its_extra_waits(without, tmp_path: Path):
    without("transformers")
    folder = tmp_path / "vlm" / VlmOptions().model.replace("/", "--")
    folder.mkdir(parents=True)
    for name in ("config.json", "model.safetensors"):
        (folder / name).write_text("{}")
    describe = Vlm.plan(VlmOptions(), AskOptions(task="describe"), tmp_path)
    assert isinstance(describe, NotReady) and "transformers is not installed" in describe.why
    read = Vlm.plan(VlmOptions(), AskOptions(task="read"), tmp_path)
    assert isinstance(read, Substitute) and read.processor == "ocr" and "transformers" in read.why


def test_model_server_needs_no_extra(without, tmp_path: Path):
    without("torch", "transformers")
    options = VlmOptions(engine="openai", base_url="http://localhost:8000/v1")
    assert Vlm.plan(options, AskOptions(task="describe"), tmp_path) == Runnable()


@pytest.mark.parametrize(
    ("prefix", "command"),
    [
        ("/opt/inboxd", "/opt/inboxd/bin/python -m pip install"),
        ("/home/ann/.local/share/pipx/venvs/inboxd", "pipx install --force"),
        ("/home/ann/.local/share/uv/tools/inboxd", "uv tool install"),
    ],
)
def test_command_fits_the_installation(prefix: str, command: str, installed_by, without):
    without(*LIBRARIES)
    installed_by(prefix, gpu=False)
    found = extras.command_to_add(["speech"])
    assert found.startswith(command) and found.endswith('"inboxd[speech]"')


@pytest.mark.parametrize("tool", ["pipx/venvs", "uv/tools"])
def test_command_that_replaces_the_environment_keeps_its_extras(tool: str, installed_by, without):
    without(*(LIBRARIES - {"kreuzberg", "olefile", "selectolax"}))
    installed_by(f"/home/ann/.local/share/{tool}/inboxd")
    assert extras.command_to_add(["speech"]).endswith('"inboxd[documents,speech]"')


@pytest.mark.parametrize(
    ("recorded", "source"),
    [
        (None, ""),  # from an index
        ({"url": "file:///home/ann/inboxd.whl", "archive_info": {}}, " @ file:///home/ann/inboxd.whl"),
        (
            {"url": "https://example.org/inboxd", "vcs_info": {"vcs": "git", "commit_id": "4f2a"}},
            " @ git+https://example.org/inboxd@4f2a",
        ),
    ],
)
def test_command_names_the_wheel_that_was_installed(recorded, source: str, installed_by, monkeypatch, tmp_path: Path):
    folder = tmp_path / "inboxd-0.1.0.dist-info"
    folder.mkdir()
    (folder / "METADATA").write_text("Metadata-Version: 2.1\nName: inboxd\nVersion: 0.1.0\n")
    if recorded:
        (folder / "direct_url.json").write_text(json.dumps(recorded))
    monkeypatch.setattr(extras, "distribution", lambda _name: PathDistribution(folder))
    installed_by("/opt/inboxd")
    assert extras.command_to_add(["speech"]) == f'/opt/inboxd/bin/python -m pip install "inboxd[speech]{source}"'


def test_clone_is_completed_by_make():
    assert extras.command_to_add(["vlm"]) == f"make -C {ROOT} install"


def test_every_library_is_in_the_extra_of_its_name():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]

    def packages(extra: str) -> set[str]:
        names: set[str] = set()
        for line in project[extra]:
            own = re.fullmatch(r"inboxd\[(.*)\]", line)
            names |= set().union(*map(packages, own[1].split(","))) if own else {re.split(r"[^\w-]", line)[0]}
        return names

    aliases = {"whisper": "openai-whisper", "huggingface_hub": "huggingface-hub", "ctranslate2": "faster-whisper"}
    for extra, libraries in extras.LIBRARIES.items():
        assert {aliases.get(name, name.replace("_", "-")) for name in libraries} <= packages(extra), extra
