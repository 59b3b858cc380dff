"""`inboxd init`, and commands where there is no config.toml at all."""

import json
import os
import subprocess
import tomllib
from collections.abc import Callable
from pathlib import Path

import forked_inboxd
import pytest
from paths import ROOT

Run = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def inboxd(tmp_path: Path) -> Run:
    """Run the command in an empty folder, with an empty home folder."""
    home, here = tmp_path / "home", tmp_path / "here"
    home.mkdir()
    here.mkdir()
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("XDG_", "INBOXD_"))}

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        variables = {**environment, "HOME": str(home), "PYTHONPATH": str(ROOT)}
        return forked_inboxd.run([*arguments], cwd=here, env=variables, timeout=120)

    return run


def test_init_writes_a_config_that_names_every_table(inboxd: Run, tmp_path: Path):
    done = inboxd("init")
    assert done.returncode == 0, done.stderr
    written = tmp_path / "home" / ".config" / "inboxd" / "config.toml"
    home = tmp_path / "home" / "inboxd"
    assert tomllib.loads(written.read_text())["paths"] == {
        name: str(home / name) for name in ("inbox", "outbox", "state")
    }
    assert "# [retention]" in written.read_text() or "[retention]" in written.read_text()
    assert (home / "inbox").is_dir()
    assert str(written) in done.stdout and "inboxd run" in done.stdout
    assert inboxd("config", "check").returncode == 0


def test_init_in_a_folder_keeps_everything_there(inboxd: Run, tmp_path: Path):
    done = inboxd("init", "box")
    assert done.returncode == 0, done.stderr
    box = tmp_path / "here" / "box"
    assert tomllib.loads((box / "config.toml").read_text())["paths"]["inbox"] == "inbox"
    assert (box / "inbox").is_dir() and "--config box/config.toml" in done.stdout


def test_init_replaces_nothing(inboxd: Run, tmp_path: Path):
    (tmp_path / "here" / "config.toml").write_text("# mine\n")
    done = inboxd("init", ".")
    assert done.returncode == 64 and "already" in done.stderr
    assert (tmp_path / "here" / "config.toml").read_text() == "# mine\n"


def test_run_without_a_config_uses_the_folders_in_the_home(inboxd: Run, tmp_path: Path):
    done = inboxd("run", "--drain")
    assert done.returncode == 0, done.stderr
    assert "There is no config.toml" in done.stderr and "inboxd init" in done.stderr
    assert (tmp_path / "home" / "inboxd" / "inbox").is_dir()
    assert list((tmp_path / "here").iterdir()) == []
    assert "No matching jobs." in inboxd("jobs").stdout


@pytest.mark.slow
def test_process_without_a_config_reads_a_page(inboxd: Run, tmp_path: Path):
    page = ROOT / "tests" / "data" / "drawings" / "line.png"
    done = inboxd("process", str(page), "-o", "out", "--json")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "here" / "out" / "line" / "result.json").is_file()


def test_models_and_doctor_need_no_config(inboxd: Run):
    assert "tiny.en" in inboxd("models").stdout
    found = inboxd("doctor")
    assert "no config.toml: the defaults apply" in found.stdout


def test_named_config_that_is_missing_is_an_error(inboxd: Run):
    done = inboxd("jobs", "--config", "none.toml")
    assert done.returncode == 78 and "There is no none.toml" in done.stderr


def test_doctor_finds_nothing_wrong_with_a_fresh_config(inboxd: Run):
    inboxd("init")
    lines = json.loads(inboxd("doctor", "--json").stdout)
    mine = [line for line in lines if line["what"] in ("config", "folders", "job log", "daemon", "storage", "service")]
    assert mine and {line["verdict"] for line in mine} == {"ok"}, mine
