"""The nodes of a cluster as devices, and what the loss of one does to jobs and workers."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest
from bench import Bench
from fakes.on_device import OnDevice, OnDeviceOptions

from daemon.config.schema import DeviceTable, WorkersTable
from daemon.core.messages import ClusterChanged
from daemon.scheduling import cluster
from daemon.scheduling.cluster import FORGET_SECONDS, Cluster
from daemon.scheduling.devices import Device, demand, places, seat
from daemon.workers.supervisor import WorkerState
from processors.cluster.nodes import Node, named
from processors.contract import FailureKind, Options
from processors.plaintext import Plaintext
from processors.vlm import Vlm, VlmOptions


def _node(name: str, **fields: Any) -> Node:
    defaults = {"host": "10.0.0.1", "is_local": False, "cpus": 8, "gpus": 0, "gpu_model": "", "memory_bytes": 10**10}
    return Node(**{"id": f"id-{name}", "name": name, **defaults, **fields})


def _devices(*nodes: Node, **tables: DeviceTable) -> tuple[Device, ...]:
    known = Cluster(address="auto").updated(nodes, "", 0.0)
    return cluster.devices(known, {name.replace("_", ":"): table for name, table in tables.items()}, WorkersTable())


# ---------------------------------------------------------------------------------------- devices

LOCAL = Device(name="cpu", kind="cpu", at_once=2, memory_bytes=1)


def test_each_gpu_and_the_cpus_of_a_node_are_devices():
    gpu0, gpu1, cpu = _devices(_node("box2", gpus=2, gpu_model="H200"))
    assert [each.name for each in (gpu0, gpu1, cpu)] == ["box2:gpu0", "box2:gpu1", "box2:cpu"]
    assert (gpu0.at_once, gpu0.model, cpu.at_once, cpu.memory_bytes) == (1, "H200", 2, 10**10)
    assert seat([gpu1], []).remote.gpus == 1 and seat([cpu], []).remote.cpus == 1
    assert seat([gpu1], []).describe("cuda:0 (NVIDIA H200)") == "box2:gpu1 (NVIDIA H200)"
    assert seat([cpu], []).describe("cpu") == "box2:cpu"
    assert seat([gpu1], []).adapt({"device": "cuda:1"}) == {"device": "cuda"}


def test_node_of_the_daemons_machine_and_one_without_resources_add_no_device():
    assert _devices(_node("head", is_local=True), _node("idle", cpus=0)) == ()


def test_config_limits_the_devices_of_a_node():
    tables = {"box2_gpu0": DeviceTable(use=False), "box2_cpu": DeviceTable(at_once=4, memory="2GB")}
    gpu1, cpu = _devices(_node("box2", gpus=2), **tables)
    assert gpu1.name == "box2:gpu1" and (cpu.at_once, cpu.memory_bytes) == (4, 2 * 10**9)


def test_processors_use_the_devices_of_nodes_as_those_of_this_machine():
    devices = (LOCAL, *_devices(_node("a", gpus=2), _node("b", gpus=1)))

    def names(cls: Any, options: Any) -> list[str]:
        return ["+".join(each.name for each in place) for place in places(devices, demand([(cls, options)]))]

    assert names(Plaintext, Options()) == ["cpu", "a:cpu", "b:cpu"]
    assert names(OnDevice, OnDeviceOptions()) == ["a:gpu0", "a:gpu1", "b:gpu0"]
    assert names(Vlm, VlmOptions(server=("llama-server", "{port}"))) == ["a:gpu0+a:gpu1", "b:gpu0"]
    server = VlmOptions(engine="openai", base_url="http://127.0.0.1:1/v1")
    assert names(Vlm, server) == ["cpu"], "the address is one of this machine"


def test_cpu_of_this_machine_is_spared_where_a_node_can_do_the_work():
    devices = (replace(LOCAL, is_reserve=True), *_devices(_node("a")))
    assert places(devices, demand([(Plaintext, Options())])) == ((devices[1],),)
    server = VlmOptions(engine="openai", base_url="http://127.0.0.1:1/v1")
    assert places(devices, demand([(Vlm, server)])) == ((devices[0],),)


def test_lost_node_stays_known_for_a_while_and_the_last_one_for_ever():
    both = Cluster(address="auto").updated([_node("a"), _node("b")], "", 0.0)
    one = both.updated([_node("a")], "", 1.0)
    assert [(each.node.name, each.lost_at) for each in one.nodes] == [("a", None), ("b", 1.0)]
    assert [each.lost_at for each in one.updated([_node("a")], "", 50.0).nodes] == [None, 1.0]
    assert [each.node.name for each in one.updated([_node("a")], "", 2 + FORGET_SECONDS).nodes] == ["a"]
    none = one.updated([], "no head", 2 + 9 * FORGET_SECONDS)
    assert [each.node.name for each in none.nodes] == ["a", "b"] and none.problem == "no head"
    assert not Cluster(address="auto").updated([], "no head", 0.0).was_seen


def test_names_of_nodes_are_unique_and_separable():
    twins = [_node("x", id="abcdef01"), _node("x", id="12345678"), _node("a:b", id="0")]
    assert [each.name for each in named(twins)] == ["x-abcdef", "x-123456", "a-b"]


# ---------------------------------------------------------------------------------------- jobs

ON_CLUSTER: dict[str, Any] = {
    "recipes": {"count": {"processor": "fakes.on_device"}},
    "processors": {"fakes.on_device": {"max_batch": 2, "keep_alive": 100}},
    "cluster": {"address": "auto"},
}


@pytest.fixture
def on_cluster(make_bench: Callable[..., Bench]) -> Bench:
    return make_bench(**ON_CLUSTER)


def _report(bench: Bench, *nodes: Node, problem: str = "") -> None:
    bench.app.dispatcher.use_cluster(ClusterChanged(nodes=nodes, problem=problem))
    bench.turn()


A, B = _node("a", gpus=1), _node("b", gpus=1)


def _seats(bench: Bench) -> list[str]:
    return [worker.seat.device for worker in bench.workers if worker.state is not WorkerState.ENDING]


def test_jobs_for_a_gpu_wait_until_the_cluster_was_reached(on_cluster: Bench):
    on_cluster.drop("x.txt")
    assert not _seats(on_cluster) and "cannot be used yet" in (on_cluster.job("x.txt").waiting_for or "")
    _report(on_cluster, problem="no head")
    assert not _seats(on_cluster), "it must not fall back to the CPU"
    _report(on_cluster, _node("head", is_local=True))
    assert not _seats(on_cluster) and "no node besides" in (on_cluster.job("x.txt").waiting_for or "")
    _report(on_cluster, A)
    assert _seats(on_cluster) == ["a:gpu0"]


def test_job_log_names_the_node(on_cluster: Bench):
    _report(on_cluster, A)
    on_cluster.drop("x.txt")
    on_cluster.load(1, device="cuda:0 (P)")
    job = on_cluster.job("x.txt")
    assert (job.node, job.device) == ("a", "a:gpu0 (P)")
    status = on_cluster.ask("status")
    assert [node["name"] for node in status["cluster"]["nodes"]] == ["a"]
    assert [worker["node"] for worker in status["workers"]] == ["a"]


def test_job_of_a_lost_node_runs_on_another_one_at_once_and_pays_no_attempt(on_cluster: Bench):
    _report(on_cluster, A, B)
    on_cluster.drop("x.txt")
    on_cluster.load(1, device="cuda:0 (P)")
    on_cluster.fail_file("x.txt", FailureKind.UNAVAILABLE)
    on_cluster.exit_worker(1)
    on_cluster.turn()
    assert _seats(on_cluster) == ["b:gpu0"]
    assert (on_cluster.job("x.txt").charged, on_cluster.job("x.txt").waiting_for) == (0, None)


def test_exit_of_a_near_half_costs_no_attempt(on_cluster: Bench):
    _report(on_cluster, A)
    on_cluster.drop("x.txt")
    on_cluster.load(1, device="cuda:0 (P)")
    on_cluster.exit_worker(1)
    assert on_cluster.job("x.txt").charged == 0


def test_no_worker_starts_on_a_lost_node_and_its_jobs_wait_rather_than_use_the_cpu(on_cluster: Bench):
    _report(on_cluster, A)
    _report(on_cluster)
    on_cluster.drop("x.txt")
    on_cluster.turn()
    assert not _seats(on_cluster)
    assert on_cluster.ask("status")["cluster"]["nodes"][0]["is_lost"]
    _report(on_cluster, replace(A, id="after a restart"))
    assert _seats(on_cluster) == ["a:gpu0"]


def test_workers_stay_when_a_node_joins(on_cluster: Bench):
    _report(on_cluster, A)
    on_cluster.drop("x.txt")
    on_cluster.load(1, device="cuda:0 (P)")
    _report(on_cluster, A, B)
    assert _seats(on_cluster) == ["a:gpu0"] and on_cluster.worker().state is WorkerState.BUSY
    (pool,) = {slot.pool for slot in on_cluster.app.pools.slots() if slot.worker}
    assert [slot.devices[0].name for slot in pool.slots] == ["a:gpu0", "b:gpu0"] and not pool.is_retired


def test_worker_on_the_new_start_of_a_node_follows_the_exit_of_the_old_one(on_cluster: Bench):
    _report(on_cluster, A)
    on_cluster.drop("x.txt", "y.txt", "z.txt")
    on_cluster.load(1, device="cuda:0 (P)")
    _report(on_cluster, replace(A, id="after a restart"))
    assert on_cluster.worker().state is WorkerState.BUSY, "it notices on its own that its node is gone"
    on_cluster.exit_worker(1)
    on_cluster.turn()
    (worker,) = on_cluster.workers
    assert worker.number == 2 and worker.seat.remote.node_id == "after a restart"
