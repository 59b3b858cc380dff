"""Commands in poor surroundings: a dumb terminal, NO_COLOR, 80 columns, a closed pipe."""

import subprocess
import sys

import pytest
from sandbox import Place

_NARROW = 80
_SURROUNDINGS = {
    "dumb": {"TERM": "dumb", "COLUMNS": str(_NARROW)},
    "no color": {"NO_COLOR": "1", "FORCE_COLOR": "", "COLUMNS": str(_NARROW)},
    "latin-1": {"PYTHONIOENCODING": "latin-1", "COLUMNS": str(_NARROW)},
}
_COMMANDS = (["jobs"], ["jobs", "--review"], ["recipes"], ["doctor"], ["config", "check"], ["--help"], ["nothing"])


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    made = Place(tmp_path_factory.mktemp("terminals"))
    made.drop("a folder/with a file of a long name, which says what is in it, final version.txt", "words")
    made.drain()
    return made


def _run(place: Place, command: list[str], **environment: str) -> subprocess.CompletedProcess[bytes]:
    words = command if command[0] in ("--help", "nothing") else [*command, "--config", str(place.config)]
    return subprocess.run(
        [sys.executable, "-m", "daemon.cli", *words],
        cwd=place.home,
        env={**place.environment(), **environment},
        capture_output=True,
    )


@pytest.mark.slow
@pytest.mark.parametrize("surroundings", _SURROUNDINGS)
def test_output_has_no_escapes_and_no_traceback(place: Place, surroundings: str):
    for command in _COMMANDS:
        done = _run(place, command, **_SURROUNDINGS[surroundings])
        assert done.returncode == (64 if command == ["nothing"] else 0), (command, done.stderr)
        assert b"\x1b" not in done.stdout + done.stderr and b"Traceback" not in done.stderr, command
        if surroundings == "latin-1":
            done.stdout.decode("latin-1")


def test_jobs_has_one_line_per_job_in_a_pipe(place: Place):
    lines = _run(place, ["jobs"]).stdout.decode().splitlines()
    assert len(lines) == 2 and lines[1].count("version") >= 1 and "a folder/" in lines[1]
