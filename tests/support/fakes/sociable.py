"""A processor that works on all its files at once, and lets others join. The first line of each is an order."""

import os
import signal
import time
from pathlib import Path

from processors.contract import Finished, Kind, Loaded, Options, Processor


class SociableOptions(Options):
    label: str = ""  # recipes with different ones have a worker each


class Sociable(Processor):
    name = "fakes.sociable"
    kinds = frozenset({Kind.TEXT})
    Options = SociableOptions

    def load(self, options, models, progress):
        return Loaded(engine="fake", model="sociable", device="cpu", takes_more_jobs=True)

    def process(self, batch, progress):
        held = list(batch)
        while held:
            for work in list(held):
                word, _, argument = work.source.read_text().splitlines()[0].partition(" ")
                if word == "wait_for" and not Path(argument).exists():
                    continue
                held.remove(work)
                if word == "error":
                    yield work, RuntimeError("oops")
                    continue
                if word == "crash":
                    os.kill(os.getpid(), signal.SIGKILL)
                (work.outputs / "with.txt").write_text("\n".join(sorted(each.stem for each in held)))
                yield work, Finished(files=("with.txt",))
            time.sleep(0.002)
            held += self.poll_new_jobs()


processor = Sociable
