"""The command line as scripts and people use it: exit codes, JSON, messages with the next step."""

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from paths import ROOT
from sandbox import Place
from typer.testing import CliRunner

from daemon.cli.main import app
from daemon.core.errors import UsageError

_TOML = Place.TEXT.replace("[inbox]", '[inbox]\n        unsupported = "fail"')  # so that a file of no type fails


@pytest.fixture
def strict(place: Place) -> Place:
    """A place where files of no known type fail."""
    place.write_config(_TOML)
    return place


@pytest.fixture(scope="module")
def drained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home where one file is done, one has failed, and no daemon runs."""
    place = Place(tmp_path_factory.mktemp("drained"), _TOML)
    place.drop("bank/good.txt", "fine words\n")
    place.drop("bad.bin", b"\x00\x01\x02")
    place.drain(check=1)
    return place.home


@pytest.fixture
def done(drained: Path, tmp_path: Path) -> Iterator[Place]:
    """A copy of it for each test."""
    shutil.copytree(drained, tmp_path, dirs_exist_ok=True)
    place = Place(tmp_path, _TOML)
    yield place
    place.stop_all()


def test_jobs_are_listed_and_filtered(done: Place):
    both = json.loads(done.inboxd("jobs", "--json").stdout)
    assert {row["file"] for row in both} == {"bank/good.txt", "bad.bin"}
    for arguments, file in (
        (["--state", "failed"], "bad.bin"),
        (["--folder", "bank"], "bank/good.txt"),
        (["--recipe", "count"], "bank/good.txt"),
        (["--file", "GOOD"], "bank/good.txt"),
    ):
        rows = json.loads(done.inboxd("jobs", "--json", *arguments).stdout)
        assert [row["file"] for row in rows] == [file], arguments
    assert json.loads(done.inboxd("jobs", "--json", "--since", "2999-01-01").stdout) == []
    table = done.inboxd("jobs").stdout
    assert "older jobs" not in table and "There are older jobs: -n 0" in done.inboxd("jobs", "-n", "1").stdout
    assert "bank/good.txt" in table and "failed" in table


@pytest.mark.parametrize(
    ("arguments", "known"),
    [
        (["--state", "faild"], "Known states: queued, running, publishing, done, failed, cancelled."),
        (["--recipe", "cuont"], "Known recipes: ask, bank-statement, count,"),
        (["--state", "faild"], 'Did you mean "failed"?'),
        (["--recipe", "cuont"], 'Did you mean "count"?'),
        (["--folder", "bnak"], 'Did you mean "bank"? Known folders: bank.'),
        (["--since", "the day before"], "or as yesterday, 3h or 7d"),
    ],
)
def test_unknown_filter_of_jobs_is_refused_with_the_known_ones(done: Place, arguments: list[str], known: str):
    assert known in done.inboxd("jobs", *arguments, check=64).stderr


def test_recipe_in_the_job_log_is_a_filter_though_config_no_longer_has_it(done: Place):
    done.write_config(_TOML.replace("[recipes.count]", "[recipes.other]").replace('"count"', '"other"'))
    assert len(json.loads(done.inboxd("jobs", "--json", "--recipe", "count").stdout)) == 1
    assert json.loads(done.inboxd("jobs", "--json", "--recipe", "other").stdout) == []
    done.write_config("[inbox\n")
    assert json.loads(done.inboxd("jobs", "--json", "--recipe", "other").stdout) == []


def test_show_prints_everything_about_one_job(done: Place):
    job = done.row("bank/good.txt")["id"]
    shown = json.loads(done.inboxd("show", job[:8], "--json").stdout)
    assert shown["file"] == "bank/good.txt"
    assert [attempt["outcome"] for attempt in shown["attempts_made"]] == ["finished"]
    assert [event["event"] for event in shown["events"]][0] == "queued"
    assert "fine words" in done.inboxd("show", job[:8]).stdout


def test_end_of_a_run_names_the_commands_for_details(tmp_path: Path):
    place = Place(tmp_path, _TOML)
    place.drop("bad.bin", b"\x00\x01\x02")
    stderr = place.drain(check=1).stderr
    assert f"1 file: 1 failed.\nSee `inboxd jobs --config {place.config}`" in stderr
    once = place.inboxd("process", "config.toml", "-o", "here", "--recipe", "read", check=None)
    assert "inboxd jobs" not in once.stderr, "it leaves no job log"


def test_table_in_a_pipe_does_not_fold_in_a_narrow_pager(done: Place):
    shown = done.inboxd("show", done.row("bad.bin")["id"][:8]).stdout.splitlines()
    assert shown and all(line == line.rstrip() for line in shown), "spaces up to the width of the longest line"


def test_unknown_job_is_a_usage_error(done: Place):
    refused = done.inboxd("show", "zzzz", check=64)
    assert "No job id begins with 'zzzz'" in refused.stderr and "inboxd jobs" in refused.stderr


@pytest.mark.parametrize("arguments", [["nothing"], ["jobs", "--nonsense"], ["backup", "one", "two"], ["show"]])
def test_wrong_command_line_is_a_usage_error(done: Place, arguments: list[str]):
    assert "Usage:" in done.inboxd(*arguments, check=64).stderr


def test_commands_that_need_the_daemon_name_how_to_start_it(done: Place):
    for arguments in (["status"], ["retry", "--failed"], ["cancel", "abcd"]):
        refused = done.inboxd(*arguments, check=69)
        assert "inboxd run" in refused.stderr, arguments


def test_missing_config_that_is_named_is_a_config_error(tmp_path: Path):
    done = subprocess.run(
        [sys.executable, "-m", "daemon.cli", "jobs"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(ROOT), "INBOXD_CONFIG": "none.toml"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 78 and "--config" in done.stderr and "Traceback" not in done.stderr


def test_config_check_shows_the_settings_or_the_mistake(place: Place):
    shown = json.loads(place.inboxd("config", "check", "--json").stdout)
    assert shown["recipes"]["count"]["processor"] == "plaintext"
    place.write_config("[inbox]\nsettle_secs = 3\n")
    refused = place.inboxd("config", "check", check=78)
    assert 'Did you mean "settle_seconds"?' in refused.stderr


def test_config_check_refuses_folders_that_overlap_as_the_daemon_does(place: Place):
    place.write_config('[paths]\noutbox = "inbox/out"')
    refused = place.inboxd("config", "check", check=78)
    assert "overlap" in refused.stderr and "[paths]" in refused.stderr
    assert refused.stderr == place.inboxd("run", "--drain", check=78).stderr


def test_status_shows_the_process_and_the_folders(place: Place):
    daemon = place.start()
    answer = json.loads(place.inboxd("status", "--json").stdout)
    assert answer["pid"] == daemon.pid and answer["jobs"] == {}
    assert str(place.inbox) in place.inboxd("status").stdout


def test_retry_of_all_failed_jobs_queues_them_again(done: Place):
    done.start()
    answer = json.loads(done.inboxd("retry", "--failed", "--json").stdout)
    assert answer["retried"] == [done.row("bad.bin")["id"]]
    row = done.ended("bad.bin")
    assert row["state"] == "failed" and (done.outbox / row["result_path"] / "bad.bin").exists()
    assert done.rows("SELECT count(*) AS n FROM events WHERE event = 'queued by command'")[0]["n"] == 1
    done.verify()


def test_retry_of_a_done_job_is_refused(done: Place):
    done.start()
    refused = done.inboxd("retry", done.row("bank/good.txt")["id"][:8], check=64)
    assert "it is done" in refused.stderr


def test_verify_finds_a_changed_result_and_a_lost_original(done: Place):
    done.verify()
    output = done.outbox / "bank" / "good" / "good.txt"
    output.write_text("tampered")
    found = json.loads(done.inboxd("verify", "--json", check=1).stdout)
    assert not found["clean"] and "has changed since it was published" in found["findings"][0]["what"]
    assert "1 error." in (shown := done.inboxd("verify", check=1).stdout) and "inboxd show JOB" in shown


def test_verify_notes_moved_results_without_an_error(done: Place):
    (done.outbox / "bank" / "good").rename(done.home / "elsewhere")
    verdict = json.loads(done.inboxd("verify", "--json").stdout)
    assert verdict["clean"] and "was moved" in verdict["findings"][0]["what"]


def test_verify_finds_an_original_that_vanished_from_taken(place: Place):
    place.drop("a.txt")
    place.write_config(
        Place.TEXT.replace('processor = "plaintext"', 'processor = "fakes.misbehaving"\nunavailable_until = "never"')
    )
    place.drain(check=1)
    next((place.inbox / ".taken").rglob("a.txt")).unlink()
    found = json.loads(place.inboxd("verify", "--json", check=1).stdout)
    assert "not in inbox/.taken" in found["findings"][0]["what"]


def test_process_works_beside_a_running_daemon_and_changes_no_files(strict: Place):
    place = strict
    place.start()
    files = [place.home / "one" / "x.txt", place.home / "two" / "x.txt", place.home / "bad.bin"]
    for file in files:
        file.parent.mkdir(exist_ok=True)
        file.write_bytes(b"\x00\x01" if file.suffix == ".bin" else f"from {file.parent.name}".encode())
    done = place.inboxd("process", *map(str, files), "--output", "out", "--json", check=1)
    rows = json.loads(done.stdout)
    assert [(row["state"], row["result_path"]) for row in rows] == [("done", "x"), ("done", "x (2)"), ("failed", None)]
    assert (place.home / "out" / "x (2)" / "x.txt").read_text() == "from two"
    assert all(file.exists() for file in files)
    assert sorted(path.name for path in (place.home / "out").iterdir()) == ["x", "x (2)"]
    assert place.rows() == []


def test_process_explains_each_file_that_it_did_not_take(place: Place):
    for name in ("x.tmp", "good.txt", "q.png"):
        (place.home / name).write_bytes(b"\x89PNG\r\n\x1a\n" if name == "q.png" else b"words")
    place.write_config(Place.TEXT.replace("[inbox]", '[inbox]\nimage = "ask"'))
    done = place.inboxd("process", "x.tmp", "good.txt", "q.png", "-o", "out", "--json", check=1)
    temporary, good, question = json.loads(done.stdout)
    assert (temporary["state"], good["state"], question["state"]) == ("failed", "done", "failed")
    assert "temporary file" in temporary["error"] and "q.png.prompt" in question["error"]


def test_process_sets_options_beyond_those_of_a_sidecar(place: Place):
    (place.home / "x.txt").write_text("words")
    (place.home / "x.txt.toml").write_text("upper = false\npriority = 3\n")
    place.inboxd("process", "x.txt", "-o", "out", "--option", "upper=true", check=0)
    assert (place.home / "out" / "x" / "x.txt").read_text() == "WORDS"
    assert (place.home / "x.txt.toml").read_text() == "upper = false\npriority = 3\n"
    wrong = place.inboxd("process", "x.txt", "-o", "out", "--option", "uper=true", "--json", check=1)
    assert 'Did you mean \\"upper\\"?' in wrong.stdout
    assert "is not NAME=VALUE" in place.inboxd("process", "x.txt", "--option", "upper", check=64).stderr


def test_process_refuses_files_that_the_named_recipe_does_not_support(place: Place):
    (place.home / "x.txt").write_text("words")
    refused = place.inboxd("process", "x.txt", "-r", "transcribe", "-o", "out", check=64)
    assert 'x.txt: the recipe "transcribe" does not support text files.\nFor text files: ' in refused.stderr
    assert not (place.home / "out").exists()
    assert 'Did you mean "count"?' in place.inboxd("process", "x.txt", "-r", "cuont", check=64).stderr


def test_process_takes_the_files_of_folders_that_fit(place: Place):
    for name in ("a/one.txt", "a/b/two.txt", "a/.hidden.txt", "a/one.txt.toml", "a/picture.png"):
        (place.home / name).parent.mkdir(parents=True, exist_ok=True)
        (place.home / name).write_bytes(b"\x89PNG\r\n\x1a\n" if name.endswith("png") else b"# words")
    done = place.inboxd("process", "a", "-r", "count", "-o", "out", "--json")
    assert [row["file"] for row in json.loads(done.stdout)] == ["a/b/two.txt", "a/one.txt"]
    (place.home / "empty").mkdir()
    assert "has no files" in place.inboxd("process", "empty", check=64).stderr


def test_process_reads_the_standard_input(place: Place):
    done = subprocess.run(
        [sys.executable, "-m", "daemon.cli", "process", "-", "-o", "out", "--json", "--config", str(place.config)],
        input=b"words from a pipe",
        cwd=place.home,
        env=place.environment(),
        capture_output=True,
    )
    [row] = json.loads(done.stdout)
    assert (row["file"], row["state"], row["review"]) == ("-", "done", []), done.stderr
    assert (place.home / "out" / "standard-input" / "result.json").is_file()


def test_config_show_prints_the_settings_and_check_one_line(place: Place):
    assert place.inboxd("config", "check").stdout == f"{place.config}: no errors.\n"
    assert json.loads(place.inboxd("config", "show").stdout)["recipes"]["count"]["processor"] == "plaintext"


def test_help_is_grouped_and_keeps_names_in_brackets():
    help_text = CliRunner().invoke(app, ["--help"]).output
    places = [help_text.index(f"─ {group} ─") for group in ("Work", "Look", "Steer", "Maintain", "Install")]
    assert places == sorted(places)
    assert "[retention]" in CliRunner().invoke(app, ["prune", "--help"]).output


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_prints_a_script(shell: str):
    assert "_INBOXD_COMPLETE" in CliRunner().invoke(app, ["completion", shell]).output
    assert CliRunner(env={"SHELL": f"/bin/{shell}"}).invoke(app, ["completion"]).exit_code == 0
    refused = CliRunner().invoke(app, ["completion", "csh"])
    assert isinstance(refused.exception, UsageError) and "Known shells: bash, zsh, fish." in str(refused.exception)


def test_status_counts_what_someone_should_look_at(strict: Place):
    place = strict
    place.drop("bad.bin", b"\x00\x01\x02")
    place.start()
    place.ended("bad.bin")
    assert "1 failed in the last 7 days: inboxd jobs --failed --since 7d" in place.inboxd("status").stdout
    assert "bad.bin" in place.inboxd("jobs", "--failed", "--since", "7d").stdout
    assert place.inboxd("jobs", "--failed", "--since", "yesterday").stdout


def test_process_into_a_folder_that_cannot_be_made_is_explained(place: Place):
    (place.home / "x.txt").write_text("words")
    refused = place.inboxd("process", "x.txt", "-o", "/proc/out", check=74)
    assert "Cannot use the output folder /proc/out" in refused.stderr and "Traceback" not in refused.stderr


def test_process_refuses_unknown_recipes_and_missing_files(place: Place):
    (place.home / "x.txt").write_text("x")
    assert "Known recipes" in place.inboxd("process", "x.txt", "--recipe", "nope", check=64).stderr
    assert "no file" in place.inboxd("process", "y.txt", check=64).stderr


def test_reader_cannot_harm_the_job_log(done: Place):
    connection = sqlite3.connect(f"{(done.state / 'jobs.db').as_uri()}?mode=ro", uri=True)
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        connection.execute("DELETE FROM jobs")


def test_models_are_listed_as_json(place: Place):
    listed = [json.loads(line) for line in place.inboxd("models", "--json").stdout.splitlines()]
    assert {model["event"] for model in listed} == {"model"} and "tiny.en" in {model["name"] for model in listed}
    wrong = place.inboxd("models", "lost", check=64).stderr
    assert wrong.startswith("usage: inboxd models") and "--models" not in wrong


def test_help_names_every_command(place: Place):
    done = subprocess.run(
        [sys.executable, "-m", "daemon.cli", "--help"], capture_output=True, text=True, env=place.environment()
    )
    for command in ("run", "process", "status", "jobs", "show", "verify", "retry", "cancel", "models", "config"):
        assert command in done.stdout
    assert "[retention]" in done.stdout, "not read as markup"
