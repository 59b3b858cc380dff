"""Checks of the Ray cluster that config.toml names: Ray itself, the token, the nodes, and what cannot work on one."""

import os
import stat
from pathlib import Path

from daemon.config.settings import Settings
from daemon.core.errors import NotRunning
from daemon.doctor.finding import FAIL, OK, WARN, Findings
from daemon.doctor.installation import Installation
from daemon.server import api, client
from processors import extras

_ANSWER_SECONDS = 5.0


def cluster(settings: Settings, installation: Installation | None) -> Findings:
    """Check the cluster; without one, there is nothing to report."""
    if not settings.cluster.address:
        return
    if why := extras.why_missing("ray"):
        yield FAIL, f"[cluster] is set, but {why.partition('. Run: ')[0]}", why.partition("Run: ")[2]
    yield from _token(settings.token_file)
    try:
        reply = client.ask(settings.socket, api.Status(), api.StatusReply, timeout=_ANSWER_SECONDS)
    except NotRunning:
        return
    if reply.cluster is not None:
        yield from _nodes(reply.cluster)
    for device in reply.devices:
        for processor, why in device.parked.items():
            if device.node is not None:
                yield WARN, f"{processor} cannot work on {device.name}: {why}", f"Fix it on the node {device.node}."


def _token(path: Path | None) -> Findings:
    if path is None:
        if os.environ.get("RAY_AUTH_MODE") != "token":
            yield FAIL, "[cluster] has no token_file", "Create a token, and name its file: see docs/scaling.md."
        return
    try:
        mode = path.stat().st_mode
    except OSError as error:
        yield FAIL, f"{path} cannot be read: {error.strerror}", "Copy the file with the token of the cluster there."
        return
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        yield WARN, f"other users may use {path}, and with it run any program on the nodes", f"chmod 600 {path}"
    else:
        yield OK, f"the token of the cluster is in {path}", ""


def _nodes(found: api.ClusterStatus) -> Findings:
    there = ", ".join(node.name for node in found.nodes if not node.is_lost)
    if found.was_seen and not found.problem:  # `daemon` reports a problem
        yield OK, f"connected to the cluster at {found.address}; nodes: {there or 'none besides this machine'}", ""
    for node in found.nodes:
        if node.is_lost:
            yield WARN, f"the node {node.name} ({node.host}) is lost", "Start it again there: ray start --address=…"
