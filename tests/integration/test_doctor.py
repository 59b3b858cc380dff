"""`inboxd doctor`, with and without a daemon, on healthy and on broken installations."""

import contextlib
import json
import os
import pwd
import re
import shutil
import sqlite3
from pathlib import Path

import pytest
from sandbox import Place, wait_for

from daemon import config
from daemon.doctor import checks, cluster, gpus, host, memory, models
from daemon.doctor.installation import Installation, as_user
from daemon.install.service_paths import system_paths
from daemon.queue.store import Store
from daemon.recovery import unplaced
from processors import extras


def _findings(place: Place, check: int | None = None) -> dict[str, list[tuple[str, str]]]:
    found: dict[str, list[tuple[str, str]]] = {}
    for line in json.loads(place.inboxd("doctor", "--json", check=check).stdout):
        found.setdefault(line["what"], []).append((line["verdict"], f"{line['found']} {line['fix']}"))
    return found


def _run_here(place: Place) -> dict[str, list[tuple[str, str]]]:
    """The same, in this process."""
    found: dict[str, list[tuple[str, str]]] = {}
    for check in checks.run_all(place.config):
        found.setdefault(check.what, []).append((check.verdict, f"{check.found} {check.fix}"))
    return found


@pytest.fixture
def installed():
    """A function that makes an installation with these lines in its unit."""

    def make(lines: str, place: Place) -> Installation:
        text = f"[Service]\nExecStart=/opt/inboxd/.venv/bin/inboxd run --config {place.config}\n{lines}"
        return Installation(paths=system_paths(), text=text, drop_ins="")

    return make


def test_healthy_installation_passes(place: Place):
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
    assert [verdict for verdict, _ in found["storage"]] == ["ok", "ok"]
    assert found["models"] == [("ok", "count can run: plaintext ")]
    assert not list(place.inbox.rglob(".doctor*")) and not list(place.outbox.rglob(".doctor*"))


def test_without_a_daemon_it_names_how_to_start_one_and_what_is_missing(place: Place):
    (place.inbox / ".taken").mkdir(parents=True, exist_ok=True)  # one has run before
    found = _findings(place, check=0)
    assert found["daemon"][0][0] == "warn" and "systemctl start inboxd" in found["daemon"][0][1]
    assert "first start creates it" in found["folders"][1][1]
    assert "no job log" in found["job log"][0][1]


def test_recipe_without_its_model_fails_and_names_the_command(place: Place):
    place.write_config(Place.TEXT + '[processors.whisper]\nmodel = "no-such-model.pt"\n')
    found = _findings(place, check=1)
    assert any(verdict == "FAIL" and "transcribe cannot run" in words for verdict, words in found["models"])


def test_recipe_whose_extra_is_not_installed_is_a_warning(make_place, monkeypatch: pytest.MonkeyPatch):
    """An installation without speech is a whole one."""
    monkeypatch.setitem(extras.LIBRARIES, "speech", ("no_such_library",))
    place = make_place('[inbox]\nimage = ""\ntext = ""\n')
    ((verdict, found, fix),) = models.models(place.settings(), None)
    assert verdict == "warn" and "transcribe cannot run, so its files wait: no_such_library is not installed" in found
    assert "install" in fix


def test_damaged_job_log_fails(place: Place):
    place.drop("x.txt")
    place.drain()
    data = bytearray((place.state / "jobs.db").read_bytes())
    data[4096 * 3 : 4096 * 6] = b"\xaa" * 4096 * 3
    (place.state / "jobs.db").write_bytes(data)
    assert _run_here(place)["job log"][0][0] == "FAIL"
    (place.state / "jobs.db").write_bytes(b"no database " * 1000)
    assert _run_here(place)["job log"][0][0] == "FAIL"


def test_job_log_of_a_newer_inboxd_fails(place: Place):
    place.state.mkdir()
    Store(place.settings().database).close()
    with contextlib.closing(sqlite3.connect(place.settings().database)) as database:
        database.execute("PRAGMA user_version = 99")
    verdict, words = _run_here(place)["job log"][0]
    assert verdict == "FAIL" and "this inboxd supports version" in words


@pytest.mark.parametrize(
    ("toml", "words"),
    [
        ("[inbox]\nsettle_secs = 3\n", "settle_seconds"),
        ("[inbox\n", "not valid TOML"),
        ('[inbox]\ntext = "nothing"\n', "unknown recipe"),
    ],
)
def test_wrong_config_does_not_stop_the_other_checks(place: Place, toml: str, words: str):
    place.write_config(toml)
    found = _run_here(place)
    assert found["config"][0][0] == "FAIL" and words in found["config"][0][1]
    assert "models" not in found and "models" in found["skipped"][0][1]
    assert "service" in found and ("folders" in found) == ("valid TOML" not in words)


def test_defaults_are_checked_where_there_is_no_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    found = [(check.what, check.verdict, check.found) for check in checks.run_all(None)]
    assert found[0][:2] == ("config", "ok") and f"folders in {tmp_path}/inboxd" in found[0][2]
    assert {"folders", "models", "memory"} <= {what for what, *_ in found}


def test_check_that_breaks_is_reported_and_hides_no_other(make_place):
    place = make_place(Place.TEXT.replace('"plaintext"', '"fakes.unplannable"'))
    found = _run_here(place)
    assert found["models"] == [
        ("warn", "cannot be checked: no plan Run doctor as root, or as the user that inboxd runs as.")
    ]
    assert found["memory"] and found["service"]


def test_folder_that_the_services_user_may_not_write_fails(place: Place, installed):
    if os.geteuid() != 0:
        pytest.skip("only root can look as another user")
    service = installed(f"User=nobody\nReadWritePaths={place.home}\n", place)
    verdict, words, fix = next(host.folders(place.settings(), service))
    assert verdict == "FAIL" and ("not writable for nobody" in words or "cannot see it" in words) and fix


def test_root_runs_checks_as_the_services_user(tmp_path: Path):
    if os.geteuid() != 0:
        pytest.skip("only root can look as another user")
    nobody = pwd.getpwnam("nobody")
    assert as_user(nobody, lambda: [os.geteuid(), os.getegid()]) == [nobody.pw_uid, nobody.pw_gid]
    assert as_user(None, os.geteuid) == 0 and os.geteuid() == 0
    with pytest.raises(OSError, match="as nobody"):
        as_user(nobody, lambda: 1 / 0)


def test_folder_outside_the_sandbox_is_explained(place: Place, installed):
    settings = config.parse({"paths": {"inbox": "/srv/no-such/inbox"}}, source=None, home=place.home)
    assert "may not write there" in host.why_outside_sandbox(settings.inbox, installed("", place))
    opened = installed("ReadWritePaths=-/srv/no-such\n", place)
    assert host.why_outside_sandbox(settings.inbox, opened) is None
    assert "ProtectHome=" in host.why_outside_sandbox(Path("/home/me/inbox"), opened)
    assert host.why_outside_sandbox(Path("/var/lib/inboxd/inbox"), installed("", place)) is None


def test_folders_that_overlap_fail(make_place):
    verdict, words, fix = next(host.folders(make_place('[paths]\nstate = "inbox/state"').settings(), None))
    assert verdict == "FAIL" and "overlap" in words and "[paths]" in fix


def test_too_little_space_for_the_largest_file_fails(place: Place):
    with (place.inbox / "huge.mkv").open("wb") as file:
        file.truncate(8 << 40)  # a hole: 8 TB of nothing
    place.outbox.mkdir()
    found = list(host.space(place.settings(), None))
    assert any(verdict == "FAIL" and "huge.mkv" in words for verdict, words, _ in found)


def test_clock_behind_the_job_log_is_reported(place: Place):
    place.drop("x.txt")
    place.drain()
    with contextlib.closing(sqlite3.connect(place.settings().database)) as database, database:
        database.execute("UPDATE events SET at = at + 86400000000")
    assert "24.0 hours behind" in next(host.clock(place.settings(), None))[1]


def test_low_inotify_limits_name_the_setting(place: Place, monkeypatch: pytest.MonkeyPatch):
    limits = place.home / "limits"
    limits.mkdir()
    for name in ("max_user_watches", "max_user_instances", "max_queued_events"):
        (limits / name).write_text("1\n")
    monkeypatch.setattr(host, "_INOTIFY", limits)
    found = list(host.inotify(place.settings(), None))
    assert [verdict for verdict, *_ in found] == ["warn"] * 3
    assert all(fix.startswith("sysctl fs.inotify.max_") for *_, fix in found)


def test_daemon_that_holds_the_inbox_without_answering_fails(place: Place):
    place.start()
    (place.state / "inboxd.sock").unlink()
    verdict, words = _run_here(place)["daemon"][0]
    assert verdict == "FAIL" and "holds the inbox" in words


@pytest.mark.parametrize(
    ("torch", "verdict", "words"),
    [
        ('{"version": "2.13", "built_for": "12.8", "gpu": "NVIDIA H200"}', "ok", "sees NVIDIA H200"),
        ('{"version": "2.13", "built_for": null, "gpu": "", "why": "x"}', "warn", "built without CUDA"),
        ('{"version": "2.13", "built_for": "12.8", "gpu": "", "why": "too old"}', "FAIL", "sees no GPU: too old"),
    ],
)
def test_torch_of_the_workers_interpreter_is_asked_for_the_gpu(
    make_place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, torch: str, verdict: str, words: str
):
    gpu = "0, NVIDIA H200, 512, 143771, 0, 570.86, GPU-1, Disabled"
    for name, output in (("nvidia-smi", gpu), ("its-python", torch)):
        (tmp_path / name).write_text(f"#!/bin/sh\necho '{output}'\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    place = make_place(f'[processors.vlm]\npython = "{tmp_path}/its-python"\n[inbox]\naudio = ""\n')
    found = list(gpus.gpus(place.settings(), None))
    assert found[0] == ("ok", "0: NVIDIA H200, driver 570.86, 537 MB of 150.8 GB in use", "")
    assert found[-1][0] == verdict and words in found[-1][1]


def test_recipe_that_requires_a_missing_gpu_fails(make_place):
    if shutil.which("nvidia-smi"):
        pytest.skip("there is one")
    place = make_place('[processors.whisper]\ndevice = "cuda"\nmodel = "tiny.en"\n')
    verdict, words, fix = list(gpus.gpus(place.settings(), None))[-1]
    assert verdict == "FAIL" and "transcribe" in words and 'device = "auto"' in fix


def test_cluster_without_ray_or_a_private_token_is_reported(make_place, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(extras.LIBRARIES, "ray", ("no_such_ray",))
    place = make_place('[cluster]\naddress = "auto"\ntoken_file = "token"\n')
    (lacking, unreadable) = cluster.cluster(place.settings(), None)
    assert lacking[0] == "FAIL" and "no_such_ray is not installed" in lacking[1] and "install" in lacking[2]
    assert unreadable[0] == "FAIL" and "cannot be read" in unreadable[1]
    (place.home / "token").write_text("secret")
    (place.home / "token").chmod(0o644)
    (_, public) = cluster.cluster(place.settings(), None)
    assert public[0] == "warn" and "other users may use" in public[1]


def test_model_larger_than_its_limit_is_reported(make_place):
    whisper = '[processors.whisper]\nmodel = "large-v3"\nmemory_max = "1GB"\ndevice = "cpu"\n'
    found = list(memory.memory(make_place(f'[inbox]\nimage = ""\n{whisper}').settings(), None))
    assert any("memory_max allows 1GB" in words for _, words, _ in found)


def test_scripts_that_ocr_reads_are_named(make_place):
    place = make_place('[recipes.greek]\nprocessor = "ocr"\nlanguages = ["el"]\n[inbox]\nimage = "greek"\n')
    (_, words, _), (verdict, missing, fix) = models.scripts(place.settings(), None)
    assert "Latin script, Chinese and Japanese; not stored: ocr-fast (Latin script, in less time)" in words
    assert "ocr-arabic (ar, fa, ug, ur)" in words
    assert verdict == "FAIL" and "ocr-greek (el)" in missing and fix == "inboxd models fetch ocr-greek"


def test_weights_that_the_service_cannot_download_fail(make_place, installed):
    place = make_place('[inbox]\nimage = ""\n[processors.whisper]\nmodel = "small"\n')
    assert next(models.models(place.settings(), None))[0] == "warn"
    verdict, _, fix = next(models.models(place.settings(), installed("User=nobody\n", place)))
    assert verdict == "FAIL" and fix == "sudo -u nobody inboxd models fetch small"


def test_waiting_jobs_and_files_left_in_the_inbox_are_reported(make_place):
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


def test_failed_recovery_is_reported_even_without_a_daemon(place: Place):
    place.drop("x.txt")
    place.drain()
    (place.inbox / ".taken/7418f7bc").mkdir()
    unplaced.write(place.state, {"7418f7bc": "Internal error during recovery"})
    assert ("FAIL", True) in [
        (verdict, "7418f7bc: Internal error" in words) for verdict, words in _run_here(place)["daemon"]
    ]
    assert "ERROR 7418f7bc" in place.inboxd("verify", check=1).stdout


def test_text_output_has_fixes_and_a_summary(place: Place):
    (place.inbox / ".taken").mkdir(parents=True, exist_ok=True)  # a daemon has run before
    shown = place.inboxd("doctor").stdout
    assert "-> Start it: `inboxd run` in a terminal, or `systemctl start inboxd`" in " ".join(shown.split())
    assert re.fullmatch(r"0 failed, \d+ warnings?, \d+ passed\.", shown.splitlines()[-1])
