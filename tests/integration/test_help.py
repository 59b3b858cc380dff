"""Help at the prompt: the man page, and completion in a real bash."""

import dataclasses
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from paths import ROOT
from sandbox import Place

from daemon import __version__
from daemon.cli import manpage
from daemon.cli.service import completion_scripts
from daemon.install import install, service_paths

_COMPLETE = """
source "$1"
COMP_WORDS=("${@:2}"); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); COMPREPLY=()
_inboxd_completion inboxd
printf '%s\\n' "${COMPREPLY[@]}"
"""


@pytest.fixture
def installed(tmp_path: Path) -> service_paths.ServicePaths:
    """Man page and completions in a folder of their own, and an `inboxd` in the PATH."""
    service = dataclasses.replace(service_paths.system_paths(), link=tmp_path / "local/bin/inboxd")
    service.link.parent.mkdir(parents=True)
    service.link.write_text(f"#!{sys.executable}\nfrom daemon.cli.main import main\nmain()\n")
    service.link.chmod(0o755)
    install.write_help_files(service, completion_scripts(), report=print)
    return service


def test_man_page_is_up_to_date():
    assert (ROOT / "docs/inboxd.1").read_text() == manpage.text(), "run: make manual"


def test_man_page_is_valid():
    if shutil.which("groff") is None:
        pytest.skip("needs groff")
    done = subprocess.run(
        ["groff", "-man", "-Tutf8", "-ww", "-P-c", str(ROOT / "docs/inboxd.1")], capture_output=True, text=True
    )
    assert done.returncode == 0 and done.stderr == ""
    assert "inboxd doctor" in done.stdout.replace("\b", "") or "iinnbbooxxdd" in done.stdout.replace("\b", "")


def test_bash_completes_jobs_states_and_recipes(place: Place, installed: service_paths.ServicePaths):
    place.drop("bank/good.txt")
    place.write_config(Place.TEXT.replace("[inbox]", '[inbox]\n        unsupported = "fail"'))
    place.drop("bad.bin", b"\x00\x01\x02")
    place.drain(check=1)
    good, bad = (place.row(file)["id"][:8] for file in ("bank/good.txt", "bad.bin"))

    def complete(*words: str) -> list[str]:
        environment = {**place.environment(), "PATH": f"{installed.link.parent}:/usr/bin:/bin"}
        script = ["bash", "-c", _COMPLETE, "bash", str(installed.help_files["bash"]), "inboxd", *words]
        done = subprocess.run(script, capture_output=True, text=True, cwd=place.home, env=environment)
        assert done.stderr == ""
        return done.stdout.split()

    assert sorted(complete("show", "")) == sorted([good, bad])
    assert complete("show", good[:5]) == [good]
    assert complete("retry", "") == [bad]
    assert complete("jobs", "--state", "c") == ["cancelled"]
    (place.inbox / "new" / ".hidden").mkdir(parents=True)
    assert complete("jobs", "--folder", "n") == ["new"]
    assert "doctor" in complete("do")
    place.write_config("[inbox\n")
    assert complete("show", "") == []


def test_completions_are_valid_in_each_shell(installed: service_paths.ServicePaths):
    assert all(path.read_text().strip() for path in installed.help_files.values())
    assert "inboxd" in installed.help_files["man"].read_text()
    shells = {"zsh": ["zsh", "-n"], "fish": ["fish", "--no-execute"], "bash": ["bash", "-n"]}
    for shell, check in shells.items():
        if shutil.which(shell):
            subprocess.run([*check, str(installed.help_files[shell])], check=True)


def test_version_is_printed():
    done = subprocess.run([sys.executable, "-m", "daemon.cli", "--version"], cwd=ROOT, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, f"inboxd {__version__}\n")
