"""Record the pictures of the documentation: `python docs/images/record.py MODELS`.

Runs a daemon on the samples in a temporary folder. Writes the output of `inboxd doctor` and `inboxd watch` as SVG into
this folder, and the list of jobs and a statement in the console as PNG, photographed by Playwright in the Chromium of
the distribution. MODELS is a folder of downloaded models that contains Whisper's tiny.en, such as state/models. The
paths in the pictures are those of an invented user.
"""

import io
import os
import pty
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright
from rich.console import Console
from rich.text import Text

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SAMPLES = ROOT / "samples" / "inbox"
SHOWN_HOME = "/home/ann/inboxd"
COLUMNS = 108
WINDOW = {"width": 1120, "height": 700}  # CSS pixels
COLORS = 128  # of the palette of a PNG
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
[web]
listen = "127.0.0.1:0"
"""


def main() -> None:
    models = Path(sys.argv[1]).resolve()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        (home / "config.toml").write_text(CONFIG.format(models=models))
        (home / "inbox").mkdir()
        with running(home, "run"):
            record_terminal(home, models)
            with running(home, "web") as log:
                record_console(home, log)


@contextmanager
def running(home: Path, command: str) -> Iterator[Path]:
    """Run a command of inboxd in the background; yields its log."""
    log = home / f"{command}.log"
    with log.open("wb") as output:
        process = subprocess.Popen([*inboxd(), command], cwd=home, env=environment(), stdout=output, stderr=output)
    try:
        yield log
    finally:
        process.terminate()
        process.wait()


def record_terminal(home: Path, models: Path) -> None:
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


def record_console(home: Path, log: Path) -> None:
    """Photograph the list of jobs, and the page of a statement."""
    wait_until(home, done=5, running=0)
    chromium = shutil.which("chromium") or sys.exit("needs Chromium: apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=chromium, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_context(viewport=WINDOW, locale="en-GB", color_scheme="light").new_page()
        address, token = console_address(log), (home / "state" / "web-token").read_text().strip()
        page.goto(f"{address}login#{token}")
        page.wait_for_url(address)
        page.locator("html[data-ready]").wait_for()
        save_photo("console", page.screenshot(clip={"x": 0, "y": 0, **WINDOW, "height": 580}))  # below, it is empty
        page.locator("tr", has_text="march.pdf").locator(".job a").click()
        page.locator("html[data-ready]").wait_for()
        page.wait_for_load_state("networkidle")
        save_photo("statement", page.screenshot())
        browser.close()


def console_address(log: Path) -> str:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if found := re.search(r"http://[0-9.:]+/", log.read_text()):
            return found[0]
        time.sleep(0.05)
    raise SystemExit(f"The console did not start: {log.read_text()}")


def save_photo(name: str, png: bytes) -> None:
    """Save a screenshot with a palette, which makes it a third as large."""
    picture = Image.open(io.BytesIO(png)).convert("RGB").quantize(COLORS, dither=Image.Dither.NONE)
    picture.save(HERE / f"{name}.png", optimize=True)
    print(f"{name}.png: {(HERE / f'{name}.png').stat().st_size // 1000} KB")


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
    deadline = time.monotonic() + 900
    query = ["sqlite3", "-readonly", "state/jobs.db", "SELECT state, count(*) FROM job_log GROUP BY state"]
    while time.monotonic() < deadline:
        rows = subprocess.run(query, cwd=home, capture_output=True, text=True).stdout.splitlines()
        found = {state: int(count) for state, count in (row.split("|") for row in rows)}
        if all(found.get(state, 0) >= count if count else state not in found for state, count in counts.items()):
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
