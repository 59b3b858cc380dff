"""The connection to a Ray cluster. Only this module imports Ray, and only when it connects.

Ray's own time limits are long: Ray considers a frozen node dead after a minute, and waits forever for a resource that
no node has. Every call here therefore has its own time limit.
"""

import contextlib
import logging
import os
import pickle
import re
import socket
import threading
from collections.abc import Iterator
from types import ModuleType
from typing import TypedDict

from processors.cluster.far import FarHalf
from processors.cluster.link import FarError, Lost
from processors.cluster.nodes import Node, Target
from processors.contract import Unavailable

NAMESPACE = "inboxd"
CONNECT_SECONDS = 45.0  # Ray's own attempts take up to 30 s
_CALLS_AT_ONCE = 16  # calls that a far half carries out at the same time: `receive` waits while chunks arrive
_GCS_SECONDS = (
    3600  # Ray kills a process without contact to the head after this time; this code gives up sooner, with a reason
)
_COLORS = re.compile(r"\x1b\[[0-9;]*m")
_LONGEST = 500  # characters of an error of Ray
_SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_gcs_rpc_server_reconnect_timeout_s": str(_GCS_SECONDS),
    "RAY_ENABLE_RECORD_ACTOR_TASK_LOGGING": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
}


class _RayNode(TypedDict):
    """A node as `ray.nodes` describes it."""

    NodeID: str
    NodeName: str
    NodeManagerAddress: str
    NodeManagerHostname: str
    Alive: bool
    Resources: dict[str, float]


class Remote:
    """The Ray actor: a far half whose arguments and values are pickled to bytes, because Ray's own encoding refuses
    file names that are not UTF-8."""

    def __init__(self) -> None:
        self._half = FarHalf()

    def call(self, method: str, arguments: bytes) -> bytes:
        self._half.note_call()
        if method.startswith("_"):
            raise ValueError(f"{method} is not a method of a far half")
        return pickle.dumps(getattr(self._half, method)(*pickle.loads(arguments)), 5)


def connect(address: str, token_file: str) -> None:
    """Connect this process to the cluster as a driver.

    Raises:
        Unavailable: this process cannot connect; the message says what to do.
    """
    os.environ.update(_SETTINGS)
    if token_file:
        os.environ.update(RAY_AUTH_MODE="token", RAY_AUTH_TOKEN_PATH=token_file)
    if os.environ.get("RAY_AUTH_MODE") != "token":  # Ray listens on all addresses, even if it is given a local one
        raise Unavailable(
            "Whoever connects to a Ray cluster may run any program on its nodes, so it must require a token. Start its "
            "nodes with RAY_AUTH_MODE=token, and name the file with the token in [cluster] token_file of config.toml."
        )
    try:
        import ray
    except ImportError as error:
        from processors import extras

        raise Unavailable(extras.why_missing("ray") or f"Ray cannot be imported: {error}.") from error
    with _limit(CONNECT_SECONDS, f"The Ray cluster at {address} does not answer."):
        try:
            ray.init(address=address, namespace=NAMESPACE, log_to_driver=False, logging_level=logging.ERROR)
        except Exception as error:  # Ray raises many types of exceptions, some of its own
            raise Unavailable(_describe_failure(address, error)) from error


def living_nodes() -> list[Node]:
    """The nodes of the connected cluster that Ray considers alive.

    Raises:
        Lost: the head does not answer.
    """
    import ray

    try:
        own, found = ray.get_runtime_context().get_node_id(), ray.nodes()
    except Exception as error:
        raise Lost(f"The head of the Ray cluster does not answer: {_text(error)}") from error
    nodes = [_node(fields, own) for fields in found if fields["Alive"]]
    return sorted(nodes, key=lambda node: (node.name, node.id))


class RayLink:
    """The link to a new far half on the node of `target`."""

    def __init__(self, target: Target, processor: str):
        import ray
        from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

        self._ray = ray
        self._node = target.node
        self._actor = (
            ray.remote(Remote)
            .options(
                name=f"{processor} of {socket.gethostname()}, process {os.getpid()}",
                num_cpus=target.cpus,
                num_gpus=target.gpus,
                scheduling_strategy=NodeAffinitySchedulingStrategy(node_id=target.node_id, soft=False),
                max_restarts=0,
                max_task_retries=0,
                max_concurrency=_CALLS_AT_ONCE,
            )
            .remote()
        )

    def call(self, method: str, *arguments: object) -> "RayReply":
        try:
            reference = self._actor.call.remote(method, pickle.dumps(arguments, 5))
        except Exception as error:
            raise Lost(f"The node {self._node} cannot be reached: {_text(error)}") from error
        return RayReply(self._ray, reference, self._node, method)

    def close(self) -> None:
        with contextlib.suppress(Exception):
            self._ray.kill(self._actor)
            self._ray.shutdown()


class RayReply:
    """A call in progress."""

    def __init__(self, ray: ModuleType, reference: object, node: str, method: str):
        self._ray, self._reference = ray, reference
        self._node, self._method = node, method

    def wait(self, seconds: float) -> object:
        errors = self._ray.exceptions
        try:
            return pickle.loads(self._ray.get(self._reference, timeout=seconds))
        except errors.GetTimeoutError as error:
            raise Lost(f"The node {self._node} did not answer for {seconds:g} s ({self._method}).") from error
        except errors.RayTaskError as error:
            raise FarError(_text(error.cause if error.cause is not None else error)) from error
        except errors.RayActorError as error:
            if "failed to import" in str(error):
                raise Lost(
                    f"The node {self._node} cannot import inboxd: install the same version there, in the Python "
                    "environment that runs `ray start`."
                ) from error
            raise Lost(f"The worker on the node {self._node} was lost: {_text(error)}") from error
        except Exception as error:  # of Ray: the node, the object store, the connection
            raise Lost(f"The connection to the node {self._node} was lost: {_text(error)}") from error


def _node(fields: _RayNode, own: str) -> Node:
    resources = fields["Resources"]
    models = [name.partition(":")[2] for name in resources if name.startswith("accelerator_type:")]
    name, host = fields["NodeName"], fields["NodeManagerAddress"]
    return Node(
        id=fields["NodeID"],
        name=name if name and name != host else fields["NodeManagerHostname"] or host,
        host=host,
        is_local=fields["NodeID"] == own,
        cpus=int(resources.get("CPU", 0)),
        gpus=int(resources.get("GPU", 0)),
        gpu_model=models[0] if models else "",
        memory_bytes=int(resources.get("memory", 0)),
    )


def _describe_failure(address: str, error: Exception) -> str:
    how = f"--address={address}" if address != "auto" else "--head, or with the --address of its head"
    return (
        f"Cannot connect to the Ray cluster at {address}: {_text(error)} This machine must be one of its nodes: run "
        f"`ray start {how}` here, with the same versions of Python and Ray as on the others."
    )


def _text(error: BaseException) -> str:
    """The first lines of an error of Ray, without colors."""
    text = " ".join(_COLORS.sub("", str(error)).split()) or type(error).__name__
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]} …"


@contextlib.contextmanager
def _limit(seconds: float, message: str) -> Iterator[None]:
    """End the process if the context takes longer: Ray may block in C++ code, which no exception can interrupt."""

    def end() -> None:
        os.write(2, f"{message}\n".encode())
        os._exit(1)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
