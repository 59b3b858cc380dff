"""The metrics of a real daemon, by command, by file and over HTTP, read by Prometheus' own parser."""

import http.client
import json
import os
import socket
from pathlib import Path

import pytest
from factories import make_job
from prometheus_client.parser import text_string_to_metric_families
from sandbox import Place, wait_for

from daemon import config
from daemon.core.errors import ConfigError
from daemon.core.job import JobState
from daemon.queue import backup
from daemon.queue.store import Store
from daemon.telemetry import gpu, totals
from daemon.telemetry.histogram import Histogram

Samples = dict[tuple[str, tuple[str, ...]], float]


def _samples(text: str) -> Samples:
    """(name, label values in the order of their names) -> value."""
    return {
        (sample.name, tuple(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def _port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def _get(port: int, path: str = "/metrics", host: str | None = None) -> tuple[int, str]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", path, headers={"Host": host} if host else {})
    answer = connection.getresponse()
    return answer.status, answer.read().decode()


def test_command_file_and_http_give_the_same_metrics(place: Place):
    port, textfile = _port(), place.home / "inboxd.prom"
    extra = f'[metrics]\nlisten = "127.0.0.1:{port}"\ntextfile = "inboxd.prom"\nevery = "1s"\n'
    place.write_config(place.TEXT + extra)
    place.drop("bank/good.txt")
    place.drop("bad.bin", b"")  # fails: it is empty
    daemon = place.start()
    place.ended("bank/good.txt")
    place.ended("bad.bin")
    (place.inbox / "link").symlink_to("x")

    samples = _samples(place.inboxd("metrics").stdout)
    assert samples["inboxd_jobs_ended_total", ("count", "done")] == 1
    assert samples["inboxd_jobs_ended_total", ("", "failed")] == 1
    assert samples["inboxd_failures_total", ("bad_input", "final")] == 1
    assert samples["inboxd_run_seconds_count", ("plaintext",)] == 1
    assert samples["inboxd_worker_starts_total", ("plaintext",)] == 1
    assert samples["inboxd_claim_seconds_count", ()] == 2 and samples["inboxd_claim_seconds_bucket", ("+Inf",)] == 2
    assert samples["inboxd_worker_resident_memory_bytes", ("plaintext",)] > 1_000_000
    assert samples["inboxd_resident_memory_bytes", ()] > 1_000_000
    assert samples["inboxd_oldest_unclaimed_seconds", ()] == 0 and samples["inboxd_closed", ()] == 0
    assert {labels[0] for name, labels in samples if name == "inboxd_source_up"} == {"daemon", "queue", "totals", "gpu"}

    status, served = _get(port)
    assert status == 200
    assert _samples(served).keys() == samples.keys()
    wait_for(
        lambda: textfile.exists() and _samples(textfile.read_text()).keys() == samples.keys(), "the same in the file"
    )
    assert textfile.stat().st_mode & 0o777 == 0o644
    assert [path for path in place.home.iterdir() if path.name.startswith(".inboxd.prom")] == []

    assert _get(port, "/")[0] == 404
    assert _get(port, host="evil.example:9461")[0] == 403
    daemon.terminate()
    daemon.wait()
    assert not textfile.exists(), "the metrics of a stopped daemon are out of date"


def test_waiting_jobs_are_counted_by_recipe_and_age(make_place):
    place = make_place(Place.TEXT.replace('"plaintext"', '"fakes.misbehaving"\nunavailable_until = "weights"'))
    place.drop("x.txt", "fine")
    place.drop("y.txt.prompt", "what?")
    place.start()

    def parked() -> dict | None:  # it is tried again now and then, and does not wait for an instant
        samples = _samples(place.inboxd("metrics").stdout)
        return samples if samples.get(("inboxd_waiting_jobs", ("count",))) == 1 else None

    samples = wait_for(parked, "its waiting")
    assert samples["inboxd_queued_jobs", ("count",)] == 1
    assert samples["inboxd_oldest_queued_seconds", ("count",)] > 0
    assert samples["inboxd_left_files", ()] == 1


def test_unix_socket_works_and_an_occupied_port_does_no_harm(place: Place):
    address = place.home / "m.sock"
    place.write_config(f'{place.TEXT}[metrics]\nlisten = "{address}"\n')
    place.start()
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(address))
        client.sendall(b"GET /metrics HTTP/1.0\r\n\r\n")
        assert b"inboxd_uptime_seconds" in b"".join(iter(lambda: client.recv(65536), b""))
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        place.write_config(f'{place.TEXT}[metrics]\nlisten = "127.0.0.1:{other.getsockname()[1]}"\n')
        place.inboxd("reload")
        assert not address.exists()
        assert "Cannot serve metrics" in json.loads(place.inboxd("status", "--json").stdout)["metrics_problem"]


@pytest.mark.parametrize("listen", ["0.0.0.0:9461", "192.168.1.5:80", "[::]:9461", "example.org:80", "127.0.0.1", ":9"])
def test_metrics_are_never_served_to_other_machines(listen: str, tmp_path: Path):
    with pytest.raises(ConfigError) as refused:
        config.parse({"metrics": {"listen": listen}}, source=None, home=tmp_path)
    assert "127.0.0.1:9461" in str(refused.value)


@pytest.mark.parametrize("listen", ["", "127.0.0.1:9461", "[::1]:9461", "localhost:9461", "/run/inboxd/metrics.sock"])
def test_addresses_of_this_machine_are_accepted(listen: str, tmp_path: Path):
    assert config.parse({"metrics": {"listen": listen}}, source=None, home=tmp_path).metrics.listen == listen


def _end(store: Store, state: JobState) -> str:
    """A job that came and ended."""
    job = make_job(state=JobState.QUEUED)
    store.insert([job])
    started = store.start([job], processor="p", worker_pid=1, engine="e", model="m", device="d")[0]
    store.finish(store.intend(started, outcome=state, attempt_outcome="finished", result_path=job.name, pages=2))
    return job.id


def test_totals_survive_the_removal_of_rows(tmp_path: Path):
    store, file = Store(tmp_path / "jobs.db"), tmp_path / "totals.json"
    ended = [_end(store, JobState.DONE) for _ in range(3)]
    totals.save(store.path, file)
    store.forget_history(ended)
    assert totals.count(store.path, file).ended["done", "count"] == 3
    _end(store, JobState.DONE)
    counted = totals.count(store.path, file)
    assert counted.ended["done", "count"] == 4 and counted.pages["p",] == 8
    totals.write(counted, file)
    assert totals.count(store.path, file).ended["done", "count"] == 4
    store.close()


def test_totals_of_a_lost_job_log_are_not_added_to_the_next(tmp_path: Path):
    file = tmp_path / "totals.json"
    for name, jobs in (("first.db", 5), ("second.db", 2)):
        store = Store(tmp_path / name)
        for _ in range(jobs):
            _end(store, JobState.DONE)
        totals.save(store.path, file)
        assert totals.read(file, store.path).ended["done", "count"] == jobs
        store.close()


def test_totals_continue_in_a_restored_job_log(tmp_path: Path):
    store, file = Store(tmp_path / "jobs.db"), tmp_path / "totals.json"
    _end(store, JobState.DONE)
    copy = backup.copy(store.path, tmp_path / "backups")
    for _ in range(3):
        _end(store, JobState.DONE)
    totals.save(store.path, file)
    store.close()
    for path in tmp_path.glob("jobs.db*"):
        path.unlink()
    copy.rename(store.path)
    store = Store(tmp_path / "jobs.db")
    assert totals.count(store.path, file).ended["done", "count"] == 4
    for _ in range(5):  # beyond the numbers that were counted
        _end(store, JobState.DONE)
    assert totals.count(store.path, file).ended["done", "count"] == 9
    store.close()


def test_totals_saved_by_an_older_release_continue(tmp_path: Path):
    store, file = Store(tmp_path / "jobs.db"), tmp_path / "totals.json"
    _end(store, JobState.DONE)
    totals.save(store.path, file)
    facts = json.loads(file.read_text())
    facts["last_event"], facts["job_log"] = facts.pop("event"), store.path.stat().st_ino
    del facts["log"], facts["at"]
    facts["ended"] = {"done\x1fcount": 41}
    file.write_text(json.dumps(facts))
    assert totals.count(store.path, file).ended["done", "count"] == 41
    _end(store, JobState.DONE)
    assert totals.count(store.path, file).ended["done", "count"] == 42
    store.close()


@pytest.mark.parametrize("content", ["", "{}", '{"last_event": 5}', "[1]", '{"last_event": "x", "ended": 3}'])
def test_unreadable_totals_are_counted_again(content: str, tmp_path: Path):
    store, file = Store(tmp_path / "jobs.db"), tmp_path / "totals.json"
    _end(store, JobState.DONE)
    file.write_text(content)
    assert totals.count(store.path, file).ended["done", "count"] == 1
    store.close()


def test_histogram_counts_a_value_at_a_bound_below_it():
    histogram = Histogram(bounds=(1.0, 2.0))
    for value in (0.5, 1.0, 1.5, 2.5):
        histogram.observe(value)
    assert histogram.as_dict() == {"bounds": [1.0, 2.0], "counts": [2, 1, 1], "sum": 5.5}


def _nvidia_smi(folder: Path, script: str) -> None:
    tool = folder / "nvidia-smi"
    tool.write_text(f"#!/bin/sh\n{script}\n")
    tool.chmod(0o755)


def test_gpu_has_only_the_values_that_nvidia_smi_knows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    known = "0, NVIDIA H200, 512, 143771, 37, 570.86, GPU-1, Disabled"
    _nvidia_smi(tmp_path, f"echo '{known}'; echo '1, Tegra, [N/A], [N/A], [N/A], 5, GPU-2, [N/A]'")
    first, second = gpu.find()
    assert first.memory_used_bytes == 512 * 2**20 and first.busy_share == 0.37 and first.driver == "570.86"
    assert second.memory_total_bytes is None and second.busy_share is None
    _nvidia_smi(tmp_path, "echo 'Failed to initialize NVML: Driver/library version mismatch'; exit 18")
    with pytest.raises(gpu.GpuError, match="version mismatch"):
        gpu.find()
