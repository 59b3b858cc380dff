"""Programs that a processor's `python` may name by mistake: they violate the protocol between worker and daemon.

Each is a separate script: PRELUDE, then its body. `become_worker` replaces it by a correct worker.
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

def send(type, **fields):
    write(json.dumps({"type": type, **fields}).encode() + b"\\n")

def load():
    sys.stdin.buffer.readline()
    send("WorkerLoaded", engine="e", model="m", device="d", seconds=0.1)

def works():
    line = sys.stdin.buffer.readline()
    return json.loads(line)["works"] if line else sys.exit()

def fail(work, message="no", kind="error"):
    send("WorkFailed", job=work["job"], attempt=work["attempt"], kind=kind, message=message)

def finish(work, **fields):
    usual = dict(files=[], excerpt="", review=[], pages=None, media_seconds=None, details={}, seconds=0.1)
    send("WorkFinished", job=work["job"], attempt=work["attempt"], **{**usual, **fields})

def become_worker():
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
                send("WorkFinished", job=[1], attempt={}); send("WorkFinished", job=work["job"]); send("Nothing")
                write(b"[]\\nnull\\n1e999\\n" + b"[" * 200_000 + b"\\n" + b"9" * 5000 + b"\\n\\n")
                send("WorkProgress", job=work["job"], attempt=1, done="half", total=float("nan"), unit=5)
                finish(work, seconds=float("nan")); finish(work, pages=2**70); finish(work, files="abc")
                finish(work, files=[{"name": "../../x", "sha256": "0", "size_bytes": 1}])
                fail(work, kind="nonsense"); fail(work, message=None)
                finish(work, excerpt="caf\\udce9 " * 3, details={"not a number": float("nan")})
            send("BatchDone")
    """,
    "bad_text": """
        load()
        while True:
            for work in works(): fail(work, "caf\\udce9\\x00" + "x" * 5_000_000)
            send("BatchDone")
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
                    send("WorkProgress", job=f"job {number}", attempt=1, done=1, total=2, unit="x")
                finish(work)
            send("BatchDone")
    """,
    "twice": """
        load()
        while True:
            for work in works():
                finish(work); finish(work); fail(work)
            send("BatchDone"); send("BatchDone")
    """,
    "early": """
        send("BatchDone"); finish({"job": "x", "attempt": 1})
        send("WorkerLoaded", engine="", model="", device="", seconds=0)
        become_worker()
    """,
    "loaded_for_ever": """
        while True: send("WorkerLoaded", engine="e", model="m", device="d", seconds=0)
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
            send("BatchDone")
    """,
    "stops_reading": """
        if not is_first(): become_worker()
        load(); time.sleep(1000)
    """,
}


def write_rogue(folder: Path, name: str, **numbers: int) -> Path:
    """Write an executable script; `numbers` replace the names in capitals of its body."""
    lines = BODIES[name].strip("\n").splitlines()
    indent = len(lines[0]) - len(lines[0].lstrip())
    body = "\n".join(line[indent:] for line in lines)
    values = "\n".join(f"{key.upper()} = {value}" for key, value in numbers.items())
    path = folder / name
    path.write_text(f"#!{sys.executable}\n{PRELUDE}\n{values}\n{body}\n")
    path.chmod(0o755)
    return path
