"""Real workers on several pretended GPUs."""

from pathlib import Path

from sandbox import Place, wait_for

TOML = """
[inbox]
text = "look"
settle_seconds = 0.0
[recipes.look]
processor = "fakes.on_device"
runs_until = "{go}"
memory = "6GB"
[devices."cuda:0"]
uuid = "GPU-a"
memory = "10GB"
[devices."cuda:1"]
uuid = "GPU-b"
memory = "10GB"
[devices."cuda:2"]
uuid = "GPU-c"
use = false
"""


def _running(place: Place) -> list[str]:
    return [row["device"] for row in place.rows("SELECT device FROM job_log WHERE state = 'running' ORDER BY device")]


def test_queue_spreads_over_the_devices_and_each_worker_sees_its_own(make_place, tmp_path: Path):
    go = tmp_path / "go"
    place = make_place(TOML.format(go=go))
    for number in range(3):
        place.drop(f"{number}.txt", f"{number}")
    place.start()
    wait_for(lambda: len(_running(place)) == 2, "a worker on each device")
    assert _running(place) == ["cuda:0", "cuda:1"]

    status = place.inboxd("status").stdout
    assert "cuda:1: 1 of 2 models, about 6.0 GB of 10.0 GB, 1 running" in status and "cuda:2" not in status
    metrics = place.inboxd("metrics").stdout
    assert 'inboxd_device_models{device="cuda:1"} 1.0' in metrics
    assert 'inboxd_device_running_jobs{device="cpu"} 0.0' in metrics

    go.touch()
    for number in range(3):
        row = place.ended(f"{number}.txt")
        assert row["state"] == "done"
        seen = place.outbox / row["result_path"] / "sees.txt"
        assert seen.read_text() == {"cuda:0": "GPU-a", "cuda:1": "GPU-b"}[row["device"]]
    assert len(place.rows("SELECT DISTINCT worker_pid FROM attempts")) == 2
    place.verify()


def test_doctor_names_the_gpus_of_config_that_are_not_there(make_place, tmp_path: Path):
    place = make_place(TOML.format(go=tmp_path / "go"))
    answer = place.inboxd("doctor", check=None)
    assert '[devices."cuda:0"] of config.toml: nvidia-smi shows no such GPU' in answer.stdout
