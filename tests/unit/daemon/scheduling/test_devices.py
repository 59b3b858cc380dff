"""Which devices there are, and what their workers see."""

import os
from pathlib import Path

import pytest
from fakes.on_device import OnDevice, OnDeviceOptions

from daemon import config
from daemon.scheduling import devices
from daemon.scheduling.devices import Device, choose, demand, places, seat, unknown, visible
from daemon.telemetry import gpu
from daemon.telemetry.gpu import Gpu
from processors.contract import NotReady, Options
from processors.ocr import Ocr, OcrOptions
from processors.plaintext import Plaintext
from processors.vlm import Vlm, VlmOptions
from processors.whisper import Whisper, WhisperOptions

SMI = """#!/bin/sh
case "$1" in
-L) cat <<'END'
GPU 0: NVIDIA H200 (UUID: GPU-aa)
  MIG 3g.71gb     Device  0: (UUID: MIG-11)
  MIG 1g.18gb+me  Device  1: (UUID: MIG-22)
GPU 1: NVIDIA H200 (UUID: GPU-bb)
END
;;
*) cat <<'END'
0, NVIDIA H200, 0, 143771, 0, 570.86, GPU-aa, Enabled
1, NVIDIA H200, 0, 143771, 0, 570.86, GPU-bb, Disabled
END
;;
esac
"""


def _gpu(index: int, *, gigabytes: int = 24) -> Gpu:
    return Gpu(
        index=str(index),
        name="NVIDIA A",
        memory_used_bytes=0,
        memory_total_bytes=gigabytes * 10**9,
        busy_share=0.0,
        driver="570",
        uuid=f"GPU-{index}{index}",
    )


def _chosen(toml: str, found: list[Gpu], tmp_path: Path) -> tuple[Device, ...]:
    (tmp_path / "config.toml").write_text(toml)
    settings = config.load(tmp_path / "config.toml")
    return choose(settings.devices, settings.workers, found)


# ---------------------------------------------------------------------------------------- discovery


def test_machine_without_a_gpu_has_one_device_with_the_limits_of_workers(tmp_path: Path):
    (cpu,) = _chosen('[workers]\nat_once = 3\nmemory = "14GB"', [], tmp_path)
    assert (cpu.name, cpu.kind, cpu.at_once, cpu.memory_bytes) == ("cpu", "cpu", 3, 14 * 10**9)
    assert _chosen("", [], tmp_path)[0].memory_bytes == float("inf")
    assert seat([cpu], [cpu]).environment == {}, "torch may find a GPU that nvidia-smi does not know"


def test_each_gpu_is_a_device_with_its_own_memory(tmp_path: Path):
    first, second, cpu = _chosen("", [_gpu(0), _gpu(1, gigabytes=80)], tmp_path)
    assert [each.name for each in (first, second, cpu)] == ["cuda:0", "cuda:1", "cpu"]
    assert (first.memory_bytes, second.memory_bytes) == (24 * 10**9, 80 * 10**9)


def test_config_changes_the_limits_and_names_of_devices(tmp_path: Path):
    toml = '[workers]\nat_once = 3\n[devices."cuda:0"]\nmemory = "20GB"\nat_once = 1\n[devices."cuda:1"]\nuse = false\n'
    first, cpu = _chosen(toml, [_gpu(0), _gpu(1)], tmp_path)
    assert (first.name, first.memory_bytes, first.at_once, cpu.at_once) == ("cuda:0", 20 * 10**9, 1, 3)
    swapped = _chosen('[devices."cuda:0"]\nuuid = "GPU-11"\n', [_gpu(0), _gpu(1)], tmp_path)
    assert [(each.name, each.uuid) for each in swapped] == [("cuda:0", "GPU-11"), ("cuda:1", "GPU-00"), ("cpu", "")]


def test_gpu_that_only_config_names_is_used_and_reported(tmp_path: Path, caplog: pytest.LogCaptureFixture):
    toml = '[devices."cuda:7"]\nuuid = "GPU-77"\nmemory = "8GB"\n[devices."cuda:5"]\nat_once = 1\n'
    (only, _) = _chosen(toml, [], tmp_path)
    assert (only.name, only.uuid) == ("cuda:7", "GPU-77")
    assert "cuda:7" in caplog.text and "cuda:5" in caplog.text
    assert unknown(config.load(tmp_path / "config.toml").devices, []) == ["cuda:7", "cuda:5"]


@pytest.mark.parametrize(
    ("listed", "indexes"),
    [
        (None, "012"),
        ("", ""),
        ("-1", ""),
        ("2,0", "20"),
        ("1, 9, 0", "1"),
        ("GPU-2", "2"),
        ("GPU-22,GPU-22", "2"),
        ("GPU-", ""),
        ("NoDevFiles", ""),
    ],
)
def test_own_cuda_visible_devices_is_respected(listed: str | None, indexes: str):
    assert "".join(each.index for each in visible([_gpu(0), _gpu(1), _gpu(2)], listed)) == indexes


def test_instances_stand_in_for_a_gpu_that_is_divided(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    (tmp_path / "nvidia-smi").write_text(SMI)
    (tmp_path / "nvidia-smi").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    found = devices.discover({"CUDA_VISIBLE_DEVICES": "MIG-22,1"})
    assert [(each.uuid, each.memory_total_bytes) for each in found] == [
        ("MIG-22", 18 * 10**9),
        ("GPU-bb", 143771 * 2**20),
    ]
    assert len(devices.discover({})) == 3


def test_gpus_that_cannot_be_queried_are_left_to_the_libraries(monkeypatch: pytest.MonkeyPatch, caplog):
    def fail() -> list[Gpu]:
        raise gpu.GpuError("version mismatch")

    monkeypatch.setattr(gpu, "find_usable", fail)
    assert devices.discover({}) == [] and "version mismatch" in caplog.text


# ---------------------------------------------------------------------------------------- workers

TWO = (
    Device(name="cuda:0", kind="gpu", at_once=1, memory_bytes=1, uuid="GPU-00"),
    Device(name="cuda:1", kind="gpu", at_once=1, memory_bytes=1, uuid="GPU-11"),
    Device(name="cpu", kind="cpu", at_once=2, memory_bytes=1),
)


def _names(cls, options, *following) -> list[str] | NotReady:
    found = places(TWO, demand([(cls, options), *following]))
    return found if isinstance(found, NotReady) else ["+".join(each.name for each in place) for place in found]


def test_processor_may_use_the_devices_that_its_options_permit():
    assert _names(OnDevice, OnDeviceOptions()) == _names(Whisper, WhisperOptions()) == ["cuda:0", "cuda:1"]
    assert _names(OnDevice, OnDeviceOptions(device="cuda:1")) == ["cuda:1"]
    assert _names(Plaintext, Options()) == _names(Ocr, OcrOptions()) == _names(OnDevice, OnDeviceOptions(device="cpu"))
    assert _names(Plaintext, Options()) == ["cpu"]


def test_models_on_a_server_use_no_device_of_this_machine():
    server = {"engine": "openai", "base_url": "http://127.0.0.1:1/v1"}
    assert _names(Vlm, VlmOptions(**server)) == _names(Whisper, WhisperOptions(**server)) == ["cpu"]


def test_server_of_its_own_sees_all_gpus_only_if_it_may_need_them():
    assert _names(Vlm, VlmOptions(engine="vllm")) == ["cuda:0", "cuda:1"]
    arguments = ("--tensor-parallel-size", "2"), ("--pipeline-parallel-size=2",), ("-tp", "2")
    for given in arguments:
        assert _names(Vlm, VlmOptions(engine="vllm", server_args=given)) == ["cuda:0+cuda:1"]
    assert _names(Vlm, VlmOptions(server=("llama-server", "{port}"))) == ["cuda:0+cuda:1"]
    assert seat(TWO[:2], TWO).environment == {"CUDA_VISIBLE_DEVICES": "GPU-00,GPU-11"}


def test_recipes_that_follow_compute_on_the_same_device():
    assert _names(Plaintext, Options(), (OnDevice, OnDeviceOptions(device="cuda:1"))) == ["cuda:1"]
    assert _names(OnDevice, OnDeviceOptions(), (Plaintext, Options())) == ["cuda:0", "cuda:1"]


def test_gpu_that_does_not_exist_is_named_with_those_that_do():
    why = _names(OnDevice, OnDeviceOptions(device="cuda:5"))
    assert isinstance(why, NotReady) and "cuda:5" in why.why and "cuda:0, cuda:1" in why.why
    assert places(TWO[2:], demand([(OnDevice, OnDeviceOptions(device="cuda:5"))])) == ((TWO[2],),), "as without devices"


def test_worker_sees_its_own_gpu_under_the_number_0():
    own = seat(TWO[1:2], TWO)
    assert own.environment == {"CUDA_VISIBLE_DEVICES": "GPU-11"}
    assert own.adapt({"device": "cuda:1", "x": 1}) == {"device": "cuda", "x": 1}
    assert own.adapt({"device": "auto"}) == {"device": "auto"}
    assert own.describe("cuda:0 (NVIDIA H200)") == "cuda:1 (NVIDIA H200)" and own.describe("cuda") == "cuda:1"
    assert own.describe("vllm") == "vllm on cuda:1" and own.describe("cpu") == "cpu"


def test_worker_on_the_cpu_keeps_its_options_and_its_environment():
    own = seat(TWO[2:], TWO)
    assert own.environment == {} and own.adapt({"device": "cuda:1"}) == {"device": "cuda:1"}
    assert own.describe("cuda:0 (NVIDIA H200)") == "cuda:0 (NVIDIA H200)"
