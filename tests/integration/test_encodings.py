"""Commands in a terminal, a pipe or a locale that is not UTF-8."""

import json
import os
import subprocess
import sys
from pathlib import Path

import forked_inboxd
import pytest
from sandbox import DEADLINE, Place

NAME = "Größe € \N{SNOWMAN} 日本.txt"
ENCODINGS = {
    "ascii": {"PYTHONIOENCODING": "ascii"},
    "latin-1": {"PYTHONIOENCODING": "latin-1"},
    "strict": {"PYTHONIOENCODING": "ascii:strict"},
    "C locale": {"LC_ALL": "C", "LANG": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"},
}
# In the C locale, every command first executes itself again in UTF-8 mode: `_use_utf8_for_names` in cli/main.py.
IN_UTF8_MODE = {**ENCODINGS["C locale"], "PYTHONUTF8": "1", "PYTHONIOENCODING": "ascii"}
READING = [
    *(["--help"], ["jobs", "--help"], ["run", "--help"], ["backup", "--help"], ["config", "--help"], ["nothing"]),
    *(["jobs"], ["jobs", "--json"], ["jobs", "--file", "größe"], ["show", "zü"], ["verify"], ["doctor"], ["version"]),
    *(
        ["status"],
        ["config", "check"],
        ["config", "show"],
        ["watch", "--seconds", "0.2"],
        ["models"],
        ["backup", "größe/x"],
    ),
    ["pause", "ü"],
]


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Place:
    """A home with a name beyond ASCII, where files with such names are done and failed."""
    home = tmp_path_factory.mktemp("encodings") / "Gerät"
    home.mkdir()
    place = Place(home, f"{Place.TEXT}[recipes.'für €']\nprocessor = 'plaintext'\n")
    place.drop(NAME, "Wörter: € ☃\n")
    place.drop("schlecht-€.bin", b"")  # fails: it is empty
    os.rename(place.drop("latin"), os.fsencode(place.inbox) + b"/caf\xe9.txt")
    place.drain(check=1)
    return place


def inboxd(place: Place, encoding: str, *arguments: str) -> subprocess.CompletedProcess:
    """Run a command in an interpreter that started with an encoding; its output is decoded as Latin-1."""
    done = forked_inboxd.run(
        [*arguments, *_config(place, arguments)],
        cwd=place.home,
        env=place.environment(),
        interpreter=IN_UTF8_MODE if encoding == "C locale" else ENCODINGS[encoding],
        timeout=DEADLINE,
        encoding="latin-1",
    )
    assert "Traceback" not in done.stdout + done.stderr
    return done


def inboxd_from_the_start(place: Place, encoding: str, *arguments: str) -> subprocess.CompletedProcess:
    """The same in a new interpreter."""
    done = subprocess.run(
        [sys.executable, "-m", "daemon.cli", *arguments, *_config(place, arguments)],
        cwd=place.home,
        env={**place.environment(), **ENCODINGS[encoding]},
        capture_output=True,
        encoding="latin-1",
    )
    assert "Traceback" not in done.stdout + done.stderr
    return done


def _run(place: Place, encoding: str, *arguments: str) -> subprocess.CompletedProcess:
    """In a new interpreter where the command executes itself again, else in a forked one."""
    return (inboxd_from_the_start if encoding == "C locale" else inboxd)(place, encoding, *arguments)


def _config(place: Place, arguments: tuple[str, ...]) -> list[str]:
    has_no_config = "--help" in arguments or arguments in (("nothing",), ("version",))
    return [] if has_no_config else ["--config", str(place.config)]


@pytest.mark.parametrize(
    ("command", "encoding"),
    [
        *((command, encoding) for encoding in ("ascii", "C locale") for command in READING),
        *((command, "latin-1") for command in (["--help"], ["jobs"], ["show", "zü"], ["status"], ["config", "show"])),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_command_works_in_any_encoding(command: list[str], encoding: str, place: Place):
    done = inboxd(place, encoding, *command)
    text = done.stdout + done.stderr
    assert "Error:" not in text.replace("Error: ", ""), text
    assert done.stdout or done.stderr
    assert done.returncode in (0, 1, 64, 69), text


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_json_is_the_same_in_any_encoding(encoding: str, place: Place):
    done = inboxd_from_the_start(place, encoding, "jobs", "--json")
    assert NAME in {row["file"] for row in json.loads(done.stdout)}
    assert done.stdout == inboxd(place, encoding, "jobs", "--json").stdout
    shown = inboxd(place, encoding, "config", "show")
    assert "für €" in json.loads(shown.stdout)["recipes"]


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_daemon_logs_in_any_encoding(encoding: str, tmp_path: Path):
    place = Place(tmp_path)
    place.drop(NAME, "words\n")
    place.drop("schlecht-€.bin", b"")  # fails: it is empty
    done = _run(place, encoding, "run", "--drain")
    assert done.returncode == 1 and "Logging error" not in done.stderr, done.stderr
    assert {row["state"] for row in place.rows()} == {"done", "failed"}
    assert NAME in {row["file"] for row in place.rows()}


@pytest.mark.parametrize("encoding", ENCODINGS)
def test_files_are_processed_once_in_any_encoding(encoding: str, tmp_path: Path):
    place = Place(tmp_path)
    (tmp_path / NAME).write_text("words\n")
    done = _run(place, encoding, "process", NAME, "-o", "Ergebnis-ü")
    assert done.returncode == 0, done.stderr


def test_boxes_and_bars_are_ascii_in_ascii_output(place: Place):
    for command in (["jobs", "--help"], ["jobs"]):
        shown = inboxd(place, "ascii", *command).stdout
        assert shown.isascii() and "\\u25" not in shown, "a frame of escapes"
