"""`inboxd doctor` and `inboxd watch`, with and without a daemon, on places that are well and that are not."""

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from places import Place, wait_for


def _findings(place: Place, check: int | None = None) -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {}
    for line in json.loads(place.inboxd("doctor", "--json", check=check).stdout):
        found.setdefault(line["what"], []).append((line["verdict"], f"{line['found']} {line['fix']}"))
    return found


def test_all_is_well_where_a_daemon_runs(place: Place):
    place.write_config(Place.TEXT + '[inbox.folders.x]\nimage = ""\n')
    place.write_config(
        place.config.read_text().replace("[inbox]", '[inbox]\n        image = ""\n        audio = ""', 1)
    )
    place.drop("x.txt")
    place.start()
    place.ended("x.txt")
    place.inboxd("backup")
    found = _findings(place)
    assert {verdict for lines in found.values() for verdict, _ in lines if lines is not found["memory"]} <= {
        "ok",
        "warn",
    }
    assert "1 done" in found["job log"][0][1] and found["daemon"][0][0] == "ok"
    assert [verdict for verdict, _ in found["promises"]] == ["ok", "ok"]
    assert found["models"] == [("ok", "count can run ")]
    assert not list(place.inbox.rglob(".doctor*")) and not list(place.outbox.rglob(".doctor*"))


def test_without_a_daemon_it_says_how_to_start_one_and_what_is_not_there_yet(place: Place):
    found = _findings(place, check=0)
    assert found["daemon"][0][0] == "warn" and "systemctl start inboxd" in found["daemon"][0][1]
    assert "first start" in found["folders"][1][1]
    assert "no job log" in found["job log"][0][1]


def test_recipe_without_its_model_fails_and_names_the_command(place: Place):
    place.write_config(Place.TEXT + '[processors.whisper]\nmodel = "no-such-model.pt"\n')
    found = _findings(place, check=1)
    assert any(verdict == "FAIL" and "transcribe cannot run" in words for verdict, words in found["models"])


def test_damaged_job_log_fails(place: Place):
    place.drop("x.txt")
    place.drain()
    data = bytearray((place.state / "jobs.db").read_bytes())
    data[4096 * 3 : 4096 * 6] = b"\xaa" * 4096 * 3
    (place.state / "jobs.db").write_bytes(data)
    found = _findings(place, check=1)
    assert any(verdict == "FAIL" and "damaged" in words for verdict, words in found["job log"]) or found["job log"][0][
        1
    ].startswith("cannot be told")


def test_what_waits_and_what_is_left_is_told(make_place):
    place = make_place(
        Place.TEXT.replace('"plaintext"', '"fakes.misbehaving"\nunavailable_until = "weights"').replace(
            'probe = "300ms"', 'probe = "1h"'
        )
    )
    place.drop("x.txt", "fine")
    (place.inbox / "link").symlink_to("x.txt")
    place.start()
    wait_for(lambda: (place.row("x.txt") or {}).get("waiting_for"), "its waiting")
    words = " ".join(words for _, words in _findings(place)["daemon"])
    assert "1 waiting" in words and "symbolic link" in words


def test_for_a_person_each_line_has_its_mend(place: Place):
    shown = place.inboxd("doctor").stdout
    assert "-> Start it: `systemctl start inboxd`" in " ".join(shown.split())


@pytest.fixture
def watching(place: Place):
    place.start()
    process = subprocess.Popen(
        [sys.executable, "-m", "daemon.cli", "watch", "--config", str(place.config)],
        cwd=place.home,
        env={**place.environment(), "PYTHONUNBUFFERED": "1"},
        stdout=(place.home / "watched.txt").open("w"),
    )
    yield place
    process.terminate()
    process.wait()


def test_watch_tells_each_end_in_a_line_that_no_name_can_break(watching: Place):
    watched: Path = watching.home / "watched.txt"

    def drop_until_told() -> bool:  # what ends before it looks for the first time is not told
        watching.drop(f"new\nline {drop_until_told.count}.txt")
        drop_until_told.count += 1
        return "done" in watched.read_text()

    drop_until_told.count = 0
    wait_for(drop_until_told, "a line")
    assert all(" done new\\x0aline " in line for line in watched.read_text().splitlines())


def test_watch_shows_a_terminal_what_goes_on(place: Place):
    if shutil.which("script") is None:
        pytest.skip("needs script(1), for a terminal")
    script = f"{sys.executable} -m daemon.cli watch --seconds 1 --config {place.config}"
    place.drop("x.txt")
    place.start()
    place.ended("x.txt")
    typed = ["script", "--quiet", "--return", "--command", script, "/dev/null"]
    done = subprocess.run(
        typed, capture_output=True, text=True, env={**place.environment(), "TERM": "xterm", "COLUMNS": "120"}
    )
    assert done.returncode == 0 and "1 done" in done.stdout and "x.txt" in done.stdout
