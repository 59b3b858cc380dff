"""Every command works if the terminal, the pipe or the locale is not UTF-8."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from sandbox import Place

NAME = "Größe € \N{SNOWMAN} 日本.txt"
ENCODINGS = {
    "ascii": {"PYTHONIOENCODING": "ascii"},
    "latin-1": {"PYTHONIOENCODING": "latin-1"},
    "strict": {"PYTHONIOENCODING": "ascii:strict"},
    "C locale": {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
}
READING = [
    *(["--help"], ["jobs", "--help"], ["run", "--help"], ["backup", "--help"], ["config", "--help"], ["nothing"]),
    *(["jobs"], ["jobs", "--json"], ["jobs", "--file", "größe"], ["show", "zü"], ["verify"], ["doctor"], ["version"]),
    *(["status"], ["config", "check"], ["watch", "--seconds", "0.2"], ["models"], ["backup", "größe/x"]),
    ["pause", "ü"],
]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A home with a name beyond ASCII, where files with such names are done and failed."""
    home = tmp_path_factory.mktemp("encodings") / "Gerät"
    home.mkdir()
    place = Place(home, f"{Place.TEXT}[recipes.'für €']\nprocessor = 'plaintext'\n")
    place.drop(NAME, "Wörter: € ☃\n")
    place.drop("schlecht-€.bin", b"\x00\x01\x02")
    os.rename(place.drop("latin"), os.fsencode(place.inbox) + b"/caf\xe9.txt")
    place.drain(check=1)
    return place


def inboxd(place: Place, environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess:
    given = (
        [] if "--help" in arguments or arguments in (("nothing",), ("version",)) else ["--config", str(place.config)]
    )
    return subprocess.run(
        [sys.executable, "-m", "daemon.cli", *arguments, *given],
        cwd=place.home,
        env={**place.environment(), **environment},
        capture_output=True,
    )


@pytest.mark.parametrize("encoding", ENCODINGS)
@pytest.mark.parametrize("command", READING, ids=" ".join)
def test_command_works_in_any_encoding(command: list[str], encoding: str, place: Place):
    done = inboxd(place, ENCODINGS[encoding], *command)
    text = (done.stdout + done.stderr).decode("latin-1")
    assert "Traceback" not in text and "Error:" not in text.replace("Error: ", ""), text
    assert done.stdout or done.stderr
    assert done.returncode in (0, 1, 64, 69), text


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_json_is_the_same_in_any_encoding(encoding: str, place: Place):
    done = inboxd(place, ENCODINGS[encoding], "jobs", "--json")
    assert NAME in {row["file"] for row in json.loads(done.stdout)}
    shown = inboxd(place, ENCODINGS[encoding], "config", "check")
    assert "für €" in json.loads(shown.stdout)["recipes"]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_daemon_logs_in_any_encoding(encoding: str, tmp_path: Path):
    place = Place(tmp_path)
    place.drop(NAME, "words\n")
    place.drop("schlecht-€.bin", b"\x00\x01\x02")
    done = inboxd(place, ENCODINGS[encoding], "run", "--drain")
    log = done.stderr.decode("latin-1")
    assert done.returncode == 1 and "Traceback" not in log and "Logging error" not in log, log
    assert {row["state"] for row in place.rows()} == {"done", "failed"}
    assert NAME in {row["file"] for row in place.rows()}


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_files_are_processed_once_in_any_encoding(encoding: str, tmp_path: Path):
    place = Place(tmp_path)
    (tmp_path / NAME).write_text("words\n")
    done = inboxd(place, ENCODINGS[encoding], "process", NAME, "-o", "Ergebnis-ü")
    text = (done.stdout + done.stderr).decode("latin-1")
    assert done.returncode == 0 and "Traceback" not in text, text


def test_boxes_and_bars_are_ascii_in_ascii_output(place: Place):
    done = inboxd(place, ENCODINGS["ascii"], "jobs", "--help").stdout.decode("ascii")
    assert "\\u25" not in done, "a frame of escapes"
    assert "\\u25" not in inboxd(place, ENCODINGS["ascii"], "jobs").stdout.decode("ascii")
