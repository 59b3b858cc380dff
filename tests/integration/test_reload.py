"""Reload and pause of a running daemon, by the command line, in a real process."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable

import forked_inboxd
import pytest
from sandbox import Place, wait_for

from daemon.server import control_socket

TOML = """
    [inbox]
    text = "wait"
    settle_seconds = 0.1
    [recipes.wait]
    processor = "fakes.misbehaving"
    [recipes.count]
    processor = "plaintext"
    [schedule]
    probe = "200ms"
    unload = "1h"
    rescan = "1h"
"""


@pytest.fixture
def running(make_place: Callable[..., Place]) -> tuple[Place, subprocess.Popen]:
    place = make_place(TOML)
    return place, place.start()


def status(place: Place) -> dict:
    return control_socket.ask(place.settings().socket, "status")


def test_reload_applies_to_new_jobs_and_not_to_running_ones(running):
    place, _ = running
    place.drop("before.txt", f"wait_for {place.home / 'go'}")
    wait_for(lambda: (place.row("before.txt") or {}).get("state") == "running", "the job to run")
    place.write_config(TOML.replace('text = "wait"', 'text = "count"'))
    output = place.inboxd("reload").stdout
    assert output == 'Changed settings:\n  [inbox] text = "count" (was "wait")\n'
    place.drop("after.txt", "three little words")
    assert place.ended("after.txt")["recipe"] == "count"
    assert place.row("before.txt")["state"] == "running"
    (place.home / "go").touch()
    assert place.ended("before.txt")["recipe"] == "wait" and place.row("before.txt")["attempts"] == 1
    assert "No settings changed" in place.inboxd("reload").stdout


def test_pathological_file_is_refused_and_the_daemon_continues(running):
    place, daemon = running
    socket = place.settings().socket
    for content in ("a = " + "9" * 5000, "a = " + "[" * 60_000, "a." * 30_000 + "a = 1"):
        place.write_config(content)
        daemon.send_signal(signal.SIGHUP)
        wait_for(lambda: control_socket.ask(socket, "status")["config_problem"], "the refusal")
        place.write_config(TOML)
        refused = place.inboxd("reload", check=0)
        assert "Traceback" not in refused.stderr and status(place)["config_problem"] is None
    place.drop("a.txt", "fine")
    assert place.ended("a.txt")["state"] == "done"
    assert "Traceback" not in place.log()


def test_reload_finds_a_config_file_that_was_named_from_another_folder(make_place: Callable[..., Place]):
    place = make_place(TOML)
    named = ["run", "--config", f"{place.home.name}/config.toml"]
    with (place.home / "daemon.log").open("ab") as log:
        daemon = forked_inboxd.Inboxd(named, cwd=place.home.parent, env=place.environment(), stdout=log, stderr=log)
    place.adopt(daemon)
    place.wait_until_ready(daemon)
    place.write_config(TOML.replace('text = "wait"', 'text = "count"'))
    assert 'text = "count"' in place.inboxd("reload").stdout


def test_worker_survives_a_reload_unless_its_options_changed(running):
    place, _ = running
    place.drop("a.txt", "fine")
    place.ended("a.txt")
    place.write_config(TOML.replace('"fakes.misbehaving"', '"fakes.misbehaving"\nkeep_alive = "1h"'))
    assert "[recipes.wait] keep_alive = 3600.0 (was 900.0)" in place.inboxd("reload").stdout
    place.drop("b.txt", "fine")
    place.ended("b.txt")
    place.write_config(TOML.replace('"fakes.misbehaving"', '"fakes.misbehaving"\nunavailable_until = "config.toml"'))
    place.inboxd("reload")
    place.drop("c.txt", "fine")
    place.ended("c.txt")
    pids = [row["worker_pid"] for row in place.rows("SELECT worker_pid FROM attempts ORDER BY started_at")]
    assert pids[0] == pids[1] != pids[2]
    wait_for(lambda: [worker["pid"] for worker in status(place)["workers"]] == [pids[2]], "the end of the old worker")


@pytest.mark.parametrize(
    ("wrong", "why"),
    [
        (TOML.replace('"wait"', '"cuont"', 1), 'Did you mean "count"'),
        ("[inbox", "not valid TOML"),
        (TOML + '[paths]\ninbox = "elsewhere"', "restart"),
        (TOML + '[processors.plaintext]\npython = "\\u0000"', "control characters"),
        (TOML + '[recipes.x]\nprocessor = "fakes.unimportable"', "cannot be loaded"),
    ],
)
def test_wrong_config_is_refused_and_the_old_one_stays_in_force(running, wrong: str, why: str):
    place, daemon = running
    place.write_config(wrong)
    assert why in place.inboxd("reload", check=78).stderr
    refused = place.log().count("is not in force")
    daemon.send_signal(signal.SIGHUP)
    wait_for(lambda: place.log().count("is not in force") > refused, "the daemon to refuse it")
    assert why in " ".join(place.inboxd("status").stdout.split()), "also while config.toml is wrong"
    place.write_config(TOML)
    place.drop("a.txt", "fine")
    assert place.ended("a.txt")["recipe"] == "wait"
    daemon.send_signal(signal.SIGHUP)
    wait_for(lambda: status(place)["config_problem"] is None, "the problem to go")


def test_config_that_is_a_pipe_is_refused_and_the_daemon_continues(running):
    place, daemon = running
    place.config.unlink()
    os.mkfifo(place.config)
    daemon.send_signal(signal.SIGHUP)
    socket = place.state / "inboxd.sock"
    problem = wait_for(lambda: control_socket.ask(socket, "status")["config_problem"], "the refusal")
    assert "not a regular file" in problem
    place.config.unlink()
    place.write_config(TOML + '[paths]\ninbox = "\\u0000"')
    daemon.send_signal(signal.SIGHUP)
    wait_for(lambda: "control characters" in control_socket.ask(socket, "status")["config_problem"], "the refusal")
    place.write_config(TOML)
    place.drop("a.txt", "fine")
    assert place.ended("a.txt")["state"] == "done"


def test_mistake_found_by_the_command_reaches_the_daemon_of_a_service(running):
    place, daemon = running
    place.write_config("[inbox")
    command = [sys.executable, "-m", "daemon.cli", "reload", "--config", str(place.config)]
    environment = {**place.environment(), "MAINPID": str(daemon.pid)}  # as in ExecReload=
    assert subprocess.run(command, env=environment, capture_output=True).returncode == 78
    socket = place.state / "inboxd.sock"
    wait_for(lambda: control_socket.ask(socket, "status")["config_problem"], "the daemon to report it")


def test_paused_daemon_takes_files_and_starts_none_until_resumed(running):
    place, daemon = running
    place.drop("first.txt", "fine")
    place.ended("first.txt")
    place.inboxd("pause", "a game")
    wait_for(lambda: status(place)["workers"] == [], "the models' memory to be free")
    place.drop("second.txt", "fine")
    wait_for(lambda: place.row("second.txt"), "the file to be taken")
    assert "a game" in place.inboxd("status").stdout
    daemon.send_signal(signal.SIGTERM)
    daemon.wait(30)
    place.start()
    assert "a game" in status(place)["closed"] and place.row("second.txt")["state"] == "queued"
    assert place.inboxd("resume").stdout == "Resumed.\n"
    assert place.ended("second.txt")["state"] == "done"


def test_pause_now_requeues_running_jobs_uncharged(running):
    place, _ = running
    place.drop("long.txt", f"wait_for {place.home / 'go'}")
    wait_for(lambda: (place.row("long.txt") or {}).get("state") == "running", "the job to run")
    place.inboxd("pause", "--now")
    assert place.row("long.txt")["state"] == "queued"
    wait_for(lambda: status(place)["workers"] == [], "the end of its worker")
    (place.home / "go").touch()
    place.inboxd("resume")
    assert place.ended("long.txt")["state"] == "done"
    assert [row["charged"] for row in place.rows("SELECT charged FROM jobs")] == [0]


def test_drain_works_though_the_daemon_is_paused(make_place):
    place = make_place(TOML.replace('text = "wait"', 'text = "count"'))
    place.state.mkdir()
    (place.state / "paused").touch()
    place.drop("a.txt")
    place.drain()
    assert place.row("a.txt")["state"] == "done"
