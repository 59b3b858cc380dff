"""Programs that a processor's `python` may name by mistake: they speak to the daemon, and not as a worker must.

Each is a script of its own: PRELUDE, then its body. `be_honest` becomes the worker it should have been.
"""

import sys
from pathlib import Path

PRELUDE = """
import json, os, sys, time
from pathlib import Path
HERE = Path(__file__)

def write(content):
    while content:
        content = content[os.write(1, content):]

def say(type, **fields):
    write(json.dumps({"type": type, **fields}).encode() + b"\\n")

def load():
    sys.stdin.buffer.readline()
    say("WorkerLoaded", engine="e", model="m", device="d", seconds=0.1)

def works():
    line = sys.stdin.buffer.readline()
    return json.loads(line)["works"] if line else sys.exit()

def fail(work, message="no", kind="error"):
    say("WorkFailed", job=work["job"], attempt=work["attempt"], kind=kind, message=message)

def finish(work, **fields):
    usual = dict(files=[], excerpt="", review=[], pages=None, media_seconds=None, details={}, seconds=0.1)
    say("WorkFinished", job=work["job"], attempt=work["attempt"], **{**usual, **fields})

def be_honest():
    os.execv(sys.executable, [sys.executable, *sys.argv[1:]])

def is_first():
    mark = HERE.with_suffix(".mark")
    try:
        mark.touch(exist_ok=False)
    except FileExistsError:
        return False
    return True
"""

BODIES = {
    "garbage": """
        load(); works()
        while True: write(os.urandom(50_000))
    """,
    "half_line": """
        load(); write(b'{"type": "WorkFinished", "job": "' + works()[0]["job"].encode())
        sys.exit(0)
    """,
    "long_line": """
        load(); works()
        for _ in range(MEGABYTES): write(b"x" * 1_000_000)
        time.sleep(1000)
    """,
    "silent_exit": """
        load(); works(); sys.exit(0)
    """,
    "wrong_shapes": """
        load()
        while True:
            for work in works():
                say("WorkFinished", job=[1], attempt={}); say("WorkFinished", job=work["job"]); say("Nothing")
                write(b"[]\\nnull\\n1e999\\n" + b"[" * 200_000 + b"\\n" + b"9" * 5000 + b"\\n\\n")
                say("WorkProgress", job=work["job"], attempt=1, done="half", total=float("nan"), unit=5)
                finish(work, seconds=float("nan")); finish(work, pages=2**70); finish(work, files="abc")
                finish(work, files=[{"name": "../../x", "sha256": "0", "size_bytes": 1}])
                fail(work, kind="nonsense"); fail(work, message=None)
                finish(work, excerpt="caf\\udce9 " * 3, details={"not a number": float("nan")})
            say("BatchDone")
    """,
    "bad_text": """
        load()
        while True:
            for work in works(): fail(work, "caf\\udce9\\x00" + "x" * 5_000_000)
            say("BatchDone")
    """,
    "unknown_jobs": """
        load(); works()
        for _ in range(MANY): finish({"job": "00000000-0000-4000-8000-000000000000", "attempt": 1})
        time.sleep(1000)
    """,
    "progress_flood": """
        load()
        while True:
            for work in works():
                for number in range(MANY):
                    say("WorkProgress", job=f"job {number}", attempt=1, done=1, total=2, unit="x")
                finish(work)
            say("BatchDone")
    """,
    "twice": """
        load()
        while True:
            for work in works():
                finish(work); finish(work); fail(work)
            say("BatchDone"); say("BatchDone")
    """,
    "early": """
        say("BatchDone"); finish({"job": "x", "attempt": 1})
        say("WorkerLoaded", engine="", model="", device="", seconds=0)
        be_honest()
    """,
    "loaded_for_ever": """
        while True: say("WorkerLoaded", engine="e", model="m", device="d", seconds=0)
    """,
    "babbles": """
        while True: write(b"hello, I am no worker\\n")
    """,
    "closes_stdin": """
        load(); works(); os.close(0); time.sleep(1000)
    """,
    "closes_stdout": """
        load(); works(); os.close(1); time.sleep(1000)
    """,
    "no_such_file": """
        load()
        while True:
            for work in works(): finish(work, files=[{"name": "x.out", "sha256": "0" * 64, "size_bytes": 1}])
            say("BatchDone")
    """,
    "stops_reading": """
        if not is_first(): be_honest()
        load(); time.sleep(1000)
    """,
}


def write_impostor(folder: Path, name: str, **numbers: int) -> Path:
    """An executable script; `numbers` are the names in capitals of its body."""
    lines = BODIES[name].strip("\n").splitlines()
    indent = len(lines[0]) - len(lines[0].lstrip())
    body = "\n".join(line[indent:] for line in lines)
    values = "\n".join(f"{key.upper()} = {value}" for key, value in numbers.items())
    path = folder / name
    path.write_text(f"#!{sys.executable}\n{PRELUDE}\n{values}\n{body}\n")
    path.chmod(0o755)
    return path
