"""Record the terminal pictures of docs/operating.md: `python docs/images/record.py MODELS`.

Runs a daemon on the samples in a temporary folder, and writes the output of `inboxd doctor` and `inboxd watch` as SVG
into this folder. MODELS is a folder of downloaded models that contains Whisper's tiny.en, such as state/models. The
paths in the pictures are those of an invented user.
"""

import io
import os
import pty
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console
from rich.text import Text

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SAMPLES = ROOT / "samples" / "inbox"
SHOWN_HOME = "/home/ann/inboxd"
COLUMNS = 108
CONFIG = """
[paths]
models = "{models}"
[inbox]
settle_seconds = "300ms"
[inbox.folders.photos]
image = "describe"
[inbox.folders.bank]
image = "bank-statement"
[processors.whisper]
model = "tiny.en"
"""


def main() -> None:
    models = Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "config.toml").write_text(CONFIG.format(models=models))
        (home / "inbox").mkdir()
        with (home / "log").open("wb") as log:
            daemon = subprocess.Popen([*inboxd(), "run"], cwd=home, env=environment(), stdout=log, stderr=log)
        try:
            _record(home, models)
        finally:
            daemon.terminate()
            daemon.wait()


def _record(home: Path, models: Path) -> None:
    for name in ("receipt.jpg", "broken.pdf", "speech/kennedy.flac"):
        drop(home, SAMPLES / name, Path(name).name)
    drop(home, SAMPLES / "pictures" / "shapes.png", "photos/garden.png")
    wait_until(home, done=2, failed=1)
    drop(home, SAMPLES / "bank" / "statement.pdf", "bank/march.pdf")
    drop(home, SAMPLES / "bank" / "statement.pdf", "bank/april.pdf")
    drop(home, ROOT / "tests" / "data" / "audio" / "LJ001-0001.wav", "interview.wav")
    wait_until(home, running=2)
    subprocess.run([*inboxd(), "backup"], cwd=home, env=environment(), check=True, stdout=subprocess.DEVNULL)
    for command in ("watch", "doctor"):
        options = ["--seconds", "1.5"] if command == "watch" else []
        shown = run_in_terminal([*inboxd(), command, *options], home)
        save(command, shown.replace(str(models), f"{SHOWN_HOME}/state/models").replace(str(home), SHOWN_HOME))


def inboxd() -> list[str]:
    return [sys.executable, "-m", "daemon.cli"]


def environment() -> dict[str, str]:
    return {
        **os.environ,
        "PYTHONPATH": os.environ.get("PYTHONPATH", str(ROOT)),
        "COLUMNS": str(COLUMNS),
        "LINES": "40",
        "TERM": "xterm-256color",
    }


def drop(home: Path, source: Path, name: str) -> None:
    target = home / "inbox" / name
    target.parent.mkdir(exist_ok=True)
    shutil.copy(source, home / "copy")
    (home / "copy").rename(target)


def wait_until(home: Path, **counts: int) -> None:
    """Wait until this many jobs are in these states."""
    deadline = time.monotonic() + 300
    query = ["sqlite3", "-readonly", "state/jobs.db", "SELECT state, count(*) FROM job_log GROUP BY state"]
    while time.monotonic() < deadline:
        rows = subprocess.run(query, cwd=home, capture_output=True, text=True).stdout.splitlines()
        found = {state: int(count) for state, count in (row.split("|") for row in rows)}
        if all(found.get(state, 0) >= count for state, count in counts.items()):
            return
        time.sleep(0.05)
    raise SystemExit(f"The jobs did not reach {counts}: see the log in {home}")


def run_in_terminal(command: list[str], home: Path) -> str:
    """The output of a command in a terminal; of a program that fills the screen, its last screen."""
    master, terminal = pty.openpty()
    process = subprocess.Popen(command, cwd=home, env=environment(), stdin=terminal, stdout=terminal, stderr=terminal)
    os.close(terminal)
    output = b""
    while True:
        try:
            output += os.read(master, 65536)
        except OSError:  # EIO: the process has ended
            break
    process.wait()
    os.close(master)
    screens = output.decode().split("\x1b[H")
    return max(screens[-2:], key=len) if len(screens) > 1 else screens[0]


def save(command: str, output: str) -> None:
    console = Console(record=True, width=COLUMNS, file=io.StringIO(), force_terminal=True)
    lines = [line.rstrip() for line in output.replace("\r", "").split("\n")]
    text = Text.from_ansi("\n".join(lines))
    text.rstrip()
    console.print(Text(f"$ inboxd {command}", style="bold"))
    console.print(text)
    console.save_svg(str(HERE / f"{command}.svg"), title=f"inboxd {command}")
    print(text.plain)


if __name__ == "__main__":
    main()
