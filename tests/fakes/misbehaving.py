"""Does what the dropped text says: the first word is the misdeed, the rest its argument."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from processors.base import BadInput, Finished, Kind, Loaded, Options, OutOfMemory, Processor, Unavailable


class MisbehavingOptions(Options):
    unavailable_until: str | None = None  # load() fails as long as this file is not there
    crash_at_load: bool = False


class Misbehaving(Processor):
    name = "fakes.misbehaving"
    kinds = frozenset({Kind.TEXT})
    Options = MisbehavingOptions

    def load(self, options, models, progress):
        if options.crash_at_load:
            print("no such library: libmissing.so", file=sys.stderr, flush=True)
            os._exit(3)
        if options.unavailable_until and not Path(options.unavailable_until).exists():
            raise Unavailable(f"The weights are not here; put them at {options.unavailable_until}.")
        return Loaded(engine="fake", model="misbehaving", device="cpu")

    def process_one(self, work, progress):
        misdeed, _, argument = work.source.read_text().splitlines()[0].partition(" ")
        getattr(self, f"_{misdeed}", lambda work, argument: None)(work, argument)
        output = work.outputs / f"{work.stem}.out"
        output.write_text(f"{misdeed}\n")
        return Finished(files=(output.name,), excerpt=misdeed)

    def _segfault(self, work, argument):
        os.kill(os.getpid(), signal.SIGSEGV)

    def _exit(self, work, argument):
        os._exit(int(argument))

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

    def _noisy(self, work, argument):
        for number in range(20_000):
            print(f"noise {number}")
            os.write(1, b"more noise on file descriptor 1\n")
            print('{"type": "BatchDone"}', file=sys.stderr)

    def _memory(self, work, argument):
        raise OutOfMemory("Not enough memory for this.")

    def _error(self, work, argument):
        raise RuntimeError(argument or "something broke")

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


processor = Misbehaving
