"""Measure what a cluster costs, and one daemon at its limit: `python -m benchmarks.scale cluster|backlog [--write]`.

cluster: three nodes of a Ray cluster on this machine (samples/nodes.py; needs the extra `ray`) beside a worker on its
pipes: small jobs one after the other, and a text of 200 MB, which goes in and comes out. Both run the same processor on
the same machine, so the difference is the cost of the way there and back.

backlog: a daemon with ROWS finished jobs and QUEUED that wait: the time until it is ready, and its memory then and
after a minute of work.
"""

import argparse
import contextlib
import importlib.util
import os
import sqlite3
import statistics
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from benchmarks import history
from benchmarks.place import CONFIG, Daemon, Home, record

ROWS, QUEUED = 1_000_000, 100_000
SMALL_JOBS = 40
LARGE_BYTES = 200 * 10**6
LIMIT_SECONDS = 300.0
_NODES = Path(__file__).parents[1] / "samples" / "nodes.py"
_CLUSTER = """
[cluster]
address = "127.0.0.2:{port}"
token_file = "{token_file}"
[devices.cpu]
use = false
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("cluster", "backlog"))
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--queued", type=int, default=QUEUED)
    parser.add_argument("--write", action="store_true", help="write benchmarks/RESULTS.md")
    given = parser.parse_args()
    heading = "Cluster" if given.what == "cluster" else "Backlog"
    lines = []
    for line in cluster() if given.what == "cluster" else backlog(given.rows, given.queued):
        print(line, flush=True)
        lines.append(line)
    if given.write:
        record(heading, lines)


# ---------------------------------------------------------------------------------------------- a cluster


def cluster() -> Iterator[str]:
    yield f"Written by `python -m benchmarks.scale cluster --write` at a load average of {os.getloadavg()[0]:.0f}."
    yield from ("", "| worker | first job | small job, drop to done | 200 MB in and out |", "| --- " * 4 + "|")
    pipes = _measure(CONFIG)
    yield _row("on pipes, this machine", pipes)
    spec = importlib.util.spec_from_file_location("sample_nodes", _NODES)
    assert spec is not None and spec.loader is not None
    sample = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(sample)
    with Home() as folder:
        nodes = sample.start(3, token_file=folder / "token")
        try:
            remote = _measure(CONFIG + _CLUSTER.format(port=sample.PORT, token_file=folder / "token"))
        finally:
            for node in nodes:
                node.kill()
    yield _row("on a node of a cluster", remote)
    ratios = [far / near for far, near in zip(remote, pipes, strict=True)]
    yield f"| ratio | {ratios[0]:.1f} | {ratios[1]:.1f} | {ratios[2]:.1f} |"


def _row(what: str, seconds: tuple[float, float, float]) -> str:
    first, small, large = seconds
    return f"| {what} | {first:.1f} s | {1000 * small:.0f} ms | {large:.1f} s |"


def _measure(config: str) -> tuple[float, float, float]:
    """Seconds of the first job, of a small one (median), and of one of 200 MB."""
    with Home(config) as home:
        daemon = Daemon(home)
        try:
            first = _run(home, "first.txt", b"some words")
            small = [_run(home, f"{number}.txt", b"file %d" % number) for number in range(SMALL_JOBS)]
            line = b"a line of text that is neither long nor short\n"
            large = _run(home, "large.txt", line * (LARGE_BYTES // len(line)))
            return first, statistics.median(small), large
        finally:
            daemon.stop()


def _run(home: Path, name: str, content: bytes) -> float:
    """Drop a file, and wait until its job is done."""
    hidden = home / f".{name}"
    hidden.write_bytes(content)
    started = time.monotonic()
    hidden.rename(home / "inbox" / name)
    _wait_until(lambda: _value(home, "SELECT count(*) FROM jobs WHERE state = 'done' AND name = ?", name))
    return time.monotonic() - started


# ---------------------------------------------------------------------------------------------- a backlog


def backlog(rows: int, queued: int) -> Iterator[str]:
    yield f"Written by `python -m benchmarks.scale backlog --write` at a load average of {os.getloadavg()[0]:.0f}."
    yield from (
        "",
        "| finished jobs | waiting | ready after | memory then (PSS) | after a minute of work | jobs a second |",
    )
    yield "| --- " * 6 + "|"
    with Home() as home:
        history.build(home, history=1, queued=1)
        _multiply(home, "done", rows)
        (template,) = (home / "inbox" / ".taken").glob("*/history/*")
        content, mtime_ns = template.read_bytes(), template.stat().st_mtime_ns
        for job, name in _multiply(home, "queued", queued):
            path = home / "inbox" / ".taken" / job / "history" / name
            path.parent.mkdir(parents=True)
            path.write_bytes(content)
            os.utime(path, ns=(mtime_ns, mtime_ns))
        daemon = Daemon(home)
        try:
            then, before, started = daemon.memory_mb()["pss"], _done(home), time.monotonic()
            time.sleep(60)
            rate = (_done(home) - before) / (time.monotonic() - started)
            later = daemon.memory_mb()["pss"]
        finally:
            daemon.kill()
        yield f"| {rows:,} | {queued:,} | {daemon.ready_seconds:.1f} s | {then:.0f} MB | {later:.0f} MB | {rate:.0f} |"


def _multiply(home: Path, state: str, count: int) -> list[tuple[str, str]]:
    """Repeat the one job in that state, with its attempts and events; return the ids and names of the copies. (The
    store itself would take minutes.)"""
    with contextlib.closing(sqlite3.connect(home / "state" / "jobs.db")) as database, database:
        (template,) = database.execute("SELECT id FROM jobs WHERE state = ?", (state,)).fetchone()
        columns = [row[1] for row in database.execute("PRAGMA table_info(jobs)")]
        digit = "d" if state == "done" else "e"
        changed = {"id": f"printf('{digit}%07x-0000-4000-8000-%012x', i, i)", "name": "i || '.txt'", "inode": "i"}
        changed |= {"sha256": "printf('%064x', i)", "received_at": "received_at + i"}
        values = ", ".join(changed.get(column, column) for column in columns)
        database.execute(
            f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {count - 1}) "
            f"INSERT INTO jobs SELECT {values} FROM n, jobs WHERE jobs.id = ?",
            (template,),
        )
        copies = f"FROM {{0}}, jobs WHERE {{0}}.job = '{template}' AND jobs.state = '{state}' AND jobs.id <> {{0}}.job"
        for table in ("attempts", "events"):
            names = [row[1] for row in database.execute(f"PRAGMA table_info({table})") if row[1] != "id"]
            values = ", ".join("jobs.id" if name == "job" else f"{table}.{name}" for name in names)
            database.execute(f"INSERT INTO {table} ({', '.join(names)}) SELECT {values} {copies.format(table)}")
        return database.execute("SELECT id, name FROM jobs WHERE state = ? AND id <> ?", (state, template)).fetchall()


def _done(home: Path) -> int:
    return _value(home, "SELECT count(*) FROM jobs WHERE state = 'done'")


def _value(home: Path, query: str, *values: object) -> int:
    connection = sqlite3.connect(f"file:{home / 'state' / 'jobs.db'}?mode=ro", uri=True, timeout=30)
    try:
        return int(connection.execute(query, values).fetchone()[0])
    finally:
        connection.close()


def _wait_until(condition: Callable[[], int]) -> None:
    until = time.monotonic() + LIMIT_SECONDS
    while not condition():
        if time.monotonic() > until:
            raise SystemExit(f"It took more than {LIMIT_SECONDS:g} s.")
        time.sleep(0.002)


if __name__ == "__main__":
    main()
