"""Measure many short recordings put into the inbox at once: CPU time, order, and whether another job waits for them.

    python -m benchmarks.memos --audio FOLDER [--count 200] [--way fast] [--write]

FOLDER is as for `benchmarks.speech`; memos of 2 to 5 s are cut from its English clips. Halfway, a text file is put into
the inbox, too. The engine alone, loaded once, transcribes the same memos in a process of its own: the ratio is what the
daemon costs. One thread of the CPU. `--write` replaces the section in benchmarks/SPEECH.md.
"""

import argparse
import itertools
import json
import os
import random
import re
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time
import wave
from dataclasses import dataclass
from pathlib import Path

from benchmarks.place import Home
from benchmarks.speech import LONG_SECONDS, RESULTS, ROOT, read_rows, sound_of, transcriber

TITLE = "## Short voice memos"
_SECONDS = (2.0, 5.0)
_OTHER = "other.txt"
_POLL_SECONDS = 0.05
_TIMES = """
SELECT file, julianday(received_at) * 86400, julianday(started_at) * 86400, julianday(finished_at) * 86400
FROM job_log WHERE state = 'done' ORDER BY received_at, id
"""


@dataclass(frozen=True, kw_only=True)
class Times:
    """One finished job, in seconds."""

    file: str
    received: float
    started: float
    finished: float


def main() -> None:
    given = _arguments()
    if given.alone:
        print(json.dumps(_alone(given)))
        return
    with tempfile.TemporaryDirectory(dir=os.environ.get("BENCH_DIR")) as folder:
        given.memos = Path(folder)
        seconds = _cut(given)
        found, cpu_seconds, wall_seconds = _by_daemon(given)
        text = _report(given, seconds, found, cpu_seconds, wall_seconds, _alone_apart(given))
    print(text)
    if given.write:
        before = RESULTS.read_text(encoding="utf-8")
        RESULTS.write_text(_replaced(before, text), encoding="utf-8")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--audio", type=Path, required=True)
    parser.add_argument("--models", type=Path, default=ROOT / "state" / "models")
    parser.add_argument("--model", default="tiny.en")
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--way", choices=("exact", "fast"), default="fast")
    parser.add_argument("--write", action="store_true")
    parser.add_argument(
        "--alone", action="store_true", help=argparse.SUPPRESS
    )  # in a child: the engine, without daemon
    parser.add_argument("--memos", type=Path, help=argparse.SUPPRESS)
    return parser.parse_args()


def _cut(given: argparse.Namespace) -> float:
    """Write the memos; return their seconds together."""
    chance, total = random.Random(18), 0.0
    rows = [row for row in read_rows(given.audio, ["en"]) if _SECONDS[1] < float(row["seconds"]) < LONG_SECONDS]
    sounds = [sound_of(given.audio / row["file"]) for row in rows]
    for number in range(given.count):
        sound, seconds = chance.choice(sounds), chance.uniform(*_SECONDS)
        start = chance.randrange(len(sound) - round(seconds * 16_000))
        with wave.open(str(given.memos / f"memo-{number:03}.wav"), "wb") as file:
            file.setparams((1, 2, 16_000, 0, "NONE", ""))
            piece = sound[start : start + round(seconds * 16_000)]
            file.writeframes((piece * 32767).astype("<i2").tobytes())
        total += seconds
    return total


def _by_daemon(given: argparse.Namespace) -> tuple[list[Times], float, float]:
    """The times of all jobs, the CPU seconds of daemon and workers, and the seconds from start to end."""
    config = (
        f'[paths]\nmodels = "{given.models.resolve()}"\n'
        '[inbox]\nsettle_seconds = 0.1\naudio = "memos"\ntext = "count"\n'
        f'[processors.whisper]\nmodel = "{given.model}"\ndevice = "cpu"\nthreads = 1\n'
        f'[recipes.memos]\nprocessor = "whisper"\nway = "{given.way}"\nbeam_size = 1\nbest_of = 1\nlanguage = "en"\n'
        'formats = ["txt"]\n[recipes.count]\nprocessor = "plaintext"\n'
    )
    with Home(config) as home:
        for path in given.memos.iterdir():
            os.link(path, home / path.name)
            (home / path.name).rename(home / "inbox" / path.name)
        before, started = _children_cpu_seconds(), time.monotonic()
        command = [sys.executable, "-m", "daemon.cli", "run", "--drain", "--config", str(home / "config.toml")]
        daemon = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while daemon.poll() is None and sum(1 for _ in (home / "outbox").rglob("memo-*.txt")) < given.count // 2:
            time.sleep(_POLL_SECONDS)
        (home / "inbox" / _OTHER).write_text("A text among memos.")
        daemon.wait()
        wall_seconds = time.monotonic() - started
        with sqlite3.connect(home / "state" / "jobs.db") as jobs:
            found = [
                Times(file=file, received=received, started=begun, finished=finished)
                for file, received, begun, finished in jobs.execute(_TIMES)
            ]
        return found, _children_cpu_seconds() - before, wall_seconds


def _children_cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _alone_apart(given: argparse.Namespace) -> dict[str, float]:
    command = [sys.executable, "-m", "benchmarks.memos", "--alone", "--audio", given.audio, "--memos", given.memos]
    command += ["--models", given.models, "--model", given.model, "--way", given.way]
    environment = {**os.environ, "OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
    done = subprocess.run(
        [*map(str, command)], cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, check=True
    )
    return json.loads(done.stdout.splitlines()[-1])


def _alone(given: argparse.Namespace) -> dict[str, float]:
    """The engine alone, for all memos: CPU seconds after it was loaded, and peak memory."""
    transcribe, files = transcriber(given.models, given.model, given.way), sorted(given.memos.iterdir())
    transcribe(files[:1])
    start = time.process_time()
    transcribe(files)
    peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    return {"cpu_seconds": time.process_time() - start, "peak_mb": peak_mb}


def _report(
    given: argparse.Namespace,
    seconds: float,
    found: list[Times],
    cpu_seconds: float,
    wall_seconds: float,
    alone: dict[str, float],
) -> str:
    memos = [each for each in found if each.file != _OTHER]
    (other,) = [each for each in found if each.file == _OTHER]
    first = min(each.finished for each in memos) - min(each.received for each in memos)
    peak = max(itertools.accumulate(_started_and_finished(memos)))
    return (
        f"{TITLE}\n\n{len(memos)} voice memos of 2 to 5 seconds ({seconds:.0f} s of audio), put into the inbox at "
        f'once, `way = "{given.way}"`, greedy, one worker with one thread; `python -m benchmarks.memos`. Other '
        "work on the machine affects the times more than the CPU seconds.\n\n"
        "| | |\n| --- | --- |\n"
        f"| CPU seconds of the daemon and its worker, including their start | {cpu_seconds:.1f} |\n"
        f"| CPU seconds of the engine alone, without loading it | {alone['cpu_seconds']:.1f} |\n"
        f"| ratio | {cpu_seconds / alone['cpu_seconds']:.2f} |\n"
        f"| CPU seconds for each memo: daemon, engine | {cpu_seconds / len(memos):.2f}, "
        f"{alone['cpu_seconds'] / len(memos):.2f} |\n"
        f"| peak memory of the engine alone | {alone['peak_mb']:.0f} MB |\n"
        f"| time to the first result, as a share of the time for all | {first / wall_seconds:.0%} |\n"
        f"| most places that a memo lost between arrival and start | {_delay(memos, 'started')} |\n"
        f"| most places that a memo lost between arrival and end | {_delay(memos, 'finished')} |\n"
        f"| most memos in progress at once | {peak} |\n"
        f"| time for a text file that arrives halfway, relative to the time for a memo | "
        f"{(other.finished - other.received) / (wall_seconds / len(memos)):.1f} |\n"
    )


def _delay(memos: list[Times], event: str) -> int:
    """Places by which a memo is later in the order of `event` than in the order of arrival, at most."""
    in_order = sorted(range(len(memos)), key=lambda number: getattr(memos[number], event))
    return max(place - number for place, number in enumerate(in_order))


def _started_and_finished(memos: list[Times]) -> list[int]:
    events = [(each.started, 1) for each in memos] + [(each.finished, -1) for each in memos]
    return [change for _, change in sorted(events)]


def _replaced(before: str, section: str) -> str:
    """The document with this section in the place of the one with the same title."""
    parts = re.split(r"^(?=## )", before, flags=re.MULTILINE)
    kept = [section + "\n" if part.startswith(f"{TITLE}\n") else part for part in parts]
    return "".join(kept if section + "\n" in kept else [*kept, "\n" + section])


if __name__ == "__main__":
    main()
