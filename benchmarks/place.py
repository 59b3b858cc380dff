"""A folder with a real daemon process in it, for the benchmarks."""

import os
import re
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

CONFIG = """
[inbox]
text = "count"
settle_seconds = 0.5
[recipes.count]
processor = "plaintext"
"""
RESULTS = Path(__file__).with_name("RESULTS.md")
_TICKS = os.sysconf("SC_CLK_TCK")


class Daemon:
    """A daemon process, and the time when it sent READY=1 to the benchmark's notify socket."""

    def __init__(self, home: Path):
        self.home = home
        address = home / "notify"
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listener:
            listener.bind(str(address))
            started = time.monotonic()
            self.process = subprocess.Popen(
                [sys.executable, "-m", "daemon.cli", "run", "--config", str(home / "config.toml")],
                env={**os.environ, "NOTIFY_SOCKET": str(address)},
                stderr=subprocess.DEVNULL,
            )
            while b"READY=1" not in listener.recv(4096):
                pass
            self.ready_seconds = time.monotonic() - started
        address.unlink()

    def cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / _TICKS

    def memory_mb(self) -> dict[str, float]:
        lines = Path(f"/proc/{self.process.pid}/smaps_rollup").read_text().splitlines()[1:]
        facts = {line.split(":")[0]: int(line.split()[1]) / 1024 for line in lines if line.endswith("kB")}
        return {"rss": facts["Rss"], "pss": facts["Pss"]}

    def stop(self) -> None:
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()


class Home:
    """A folder for one daemon below BENCH_DIR, or else in the temporary folder."""

    def __init__(self, config: str = CONFIG):
        self._config = config

    def __enter__(self) -> Path:
        self._path = Path(tempfile.mkdtemp(dir=os.environ.get("BENCH_DIR")))
        (self._path / "config.toml").write_text(self._config)
        (self._path / "inbox").mkdir()
        return self._path

    def __exit__(self, *_: object) -> None:
        shutil.rmtree(self._path)


def record(heading: str, lines: list[str]) -> str:
    """Write a section to RESULTS.md, replacing the section of an earlier run with that heading; return its text."""
    text = "\n".join(
        [f"# {heading}", "", *lines, "", f"Machine: {os.cpu_count()} cores, Python {sys.version.split()[0]}.", ""]
    )
    before = RESULTS.read_text() if RESULTS.exists() else ""
    others = [part for part in re.split(r"^(?=# )", before, flags=re.MULTILINE) if part.strip()]
    kept = [part.strip() + "\n" for part in others if not part.startswith(f"# {heading}\n")]
    RESULTS.write_text("\n".join([*kept, text]))
    return text


def spread(seconds: list[float], factor: float, unit: str) -> str:
    low, middle, high = min(seconds), statistics.median(seconds), max(seconds)
    return f"{middle * factor:.0f} {unit} ({low * factor:.0f} to {high * factor:.0f})"
