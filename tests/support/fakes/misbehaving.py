"""A processor that misbehaves as the dropped text orders: the first word is the misdeed, the rest its argument."""

import atexit
import contextlib
import ctypes
import mmap
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path

from processors.checkpoints import Checkpoints
from processors.contract import BadInput, Finished, Kind, Loaded, Options, OutOfMemory, Processor, Unavailable

_UNTOUCHED = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | 0x4000  # MAP_NORESERVE, which mmap does not name


class MisbehavingOptions(Options):
    unavailable_until: str | None = None  # load() fails as long as this file is not there
    crash_at_load: bool = False
    megabytes_at_load: int = 0
    device: str = "cpu"  # a made-up GPU: "cuda"
    label: str = ""  # recipes with different ones have a worker each


class Misbehaving(Processor):
    name = "fakes.misbehaving"
    kinds = frozenset({Kind.TEXT})
    Options = MisbehavingOptions

    def load(self, options, models, progress):
        self._held = []
        self._allocate(None, options.megabytes_at_load)
        if options.crash_at_load:
            print("no such library: libmissing.so", file=sys.stderr, flush=True)
            os._exit(3)
        if options.unavailable_until and not Path(options.unavailable_until).exists():
            raise Unavailable(f"The weights are not here; put them at {options.unavailable_until}.")
        self._device, self._is_device_lost = options.device, False
        return Loaded(engine="fake", model="misbehaving", device=options.device)

    def process_one(self, work, progress):
        misdeed, _, argument = work.source.read_text().splitlines()[0].partition(" ")
        getattr(self, f"_{misdeed}", lambda work, argument: None)(work, argument)
        if self._is_device_lost:
            raise RuntimeError("CUDA error: an illegal memory access was encountered")
        output = work.outputs / f"{work.stem}.out"
        output.write_text(f"{misdeed}\n")
        return Finished(files=(output.name,), excerpt=misdeed)

    def _segfault(self, work, argument):
        os.kill(os.getpid(), signal.SIGSEGV)

    def _exit(self, work, argument):
        os._exit(int(argument))

    def _pages(self, work, argument):
        """Makes pages, each noted in made.txt, and crashes once before the page `argument`."""
        checkpoints = Checkpoints(work, made_by={"model": "misbehaving"})
        for page in range(1, 6):
            if checkpoints.get(f"page-{page}") is not None:
                continue
            if work.attempt == 1 and page == int(argument):
                os._exit(1)
            checkpoints.put(f"page-{page}", {"text": f"page {page}"})
            with Path("made.txt").open("a") as made:
                made.write(f"{page}\n")

    def _hang(self, work, argument):
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        if argument == "with-child":
            child = subprocess.Popen(["sleep", "1000"])
            Path("child.pid").write_text(str(child.pid))
        while True:
            time.sleep(1000)

    def _crash_once(self, work, argument):
        if not Path(argument).exists():
            Path(argument).touch()
            os.kill(os.getpid(), signal.SIGKILL)

    def _abort(self, work, argument):
        os.abort()

    def _stop(self, work, argument):
        os.kill(os.getpid(), signal.SIGSTOP)

    def _escape(self, work, argument):
        """A daemonised grandchild in a session of its own keeps all pipes open; then this process ends."""
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                Path(argument).write_text(str(os.getpid()))
                time.sleep(1000)
            os._exit(0)
        while not Path(argument).exists():
            time.sleep(0.01)
        os._exit(7)

    def _breed(self, work, argument):
        """A fork bomb, bounded: each process makes two more, down to a depth; all stay."""
        for _ in range(int(argument)):
            os.fork()
        time.sleep(1000)

    def _close_pipes(self, work, argument):
        for number in range(3, 10):
            with contextlib.suppress(OSError):
                os.close(number)

    def _scribble(self, work, argument):
        """A library that writes to any open file descriptor."""
        for number in _pipes():
            for line in range(int(argument)):
                os.write(number, b"\xff scribbled line %d\n" % line)

    def _stderr_lines(self, work, argument):
        lines = b"".join(b"a line of a library, number %d\n" % number for number in range(1000))
        for _ in range(int(argument) // 1000):
            _write_all(2, lines)

    def _stderr_line(self, work, argument):
        for _ in range(int(argument)):
            _write_all(2, b"x" * 1_000_000)

    def _allocate(self, work, argument):
        """Take so many megabytes, 10 at a time, until the end of the process."""
        for _ in range(int(argument) // 10):
            self._held.append(bytearray(os.urandom(1000)) * 10_000)

    def _allocate_in_child(self, work, argument):
        code = f"import time; held = bytearray(b'x') * {int(argument)}_000_000; time.sleep(1000)"
        subprocess.run([sys.executable, "-c", code], check=True)

    def _reserve(self, work, argument):
        """So many megabytes of address space, untouched, as CUDA does."""
        self._held.append(mmap.mmap(-1, int(argument) * 1_000_000, _UNTOUCHED, 0))

    def _noisy(self, work, argument):
        for number in range(20_000):
            print(f"noise {number}")
            os.write(1, b"more noise on file descriptor 1\n")
            print('{"type": "BatchDone"}', file=sys.stderr)

    def _last_words(self, work, argument):
        """Output that the C library buffers, and a handler that runs when the process ends."""
        ctypes.CDLL(None).puts(b"buffered by the C library")
        atexit.register(Path(argument).write_text, "ran")

    def _memory(self, work, argument):
        raise OutOfMemory("Not enough memory for this.")

    def _gpu_memory(self, work, argument):
        if self._device != "cpu":
            raise OutOfMemory("Not enough memory on the GPU for this.")

    def _lose_device_once(self, work, argument):
        """Fail as CUDA does: every later use of the device in this process also fails."""
        self._is_device_lost |= not Path(argument).exists()
        Path(argument).touch()

    def _error(self, work, argument):
        raise RuntimeError(argument or "something broke")

    def _leave_files(self, work, argument):
        """What a library may leave in the outputs."""
        for name in (".step", "pages/more"):
            (work.outputs / name).mkdir(parents=True)
        (work.outputs / "pages" / "1.png").touch()
        (work.outputs / "x.tmp").touch()
        (work.outputs / "link").symlink_to("/etc")

    def _error_with_bytes(self, work, argument):
        raise FileNotFoundError(2, "No such file", "caf\udce9.txt")

    def _bad(self, work, argument):
        raise BadInput("This file is damaged.")

    def _unavailable(self, work, argument):
        if not Path(argument).exists():
            raise Unavailable("The server is away.")

    def _touch_original(self, work, argument):
        if not Path(argument).exists():
            Path(argument).touch()
            with work.source.open("a") as file:
                file.write("more\n")

    def _wait_for(self, work, argument):
        while not Path(argument).exists():
            time.sleep(0.01)

    def _connect(self, work, argument):
        socket.create_connection(("127.0.0.1", int(argument)), timeout=5).close()

    def _read_after(self, work, argument):
        self._wait_for(work, argument)
        work.source.read_text()


def _pipes():
    """The pipes of this process that are not its standard ones: the daemon's."""
    for number in range(3, 10):
        with contextlib.suppress(OSError):
            if stat.S_ISFIFO(os.fstat(number).st_mode):
                yield number


def _write_all(number, content):
    while content:
        content = content[os.write(number, content) :]


processor = Misbehaving
