"""A processor whose model is loading for as long as a file is not there."""

import time
from pathlib import Path

from processors.contract import Finished, Kind, Loaded, Options, Processor


class SlowLoaderOptions(Options):
    loads_until: str


class SlowLoader(Processor):
    name = "fakes.slow_loader"
    kinds = frozenset({Kind.TEXT})
    Options = SlowLoaderOptions

    def load(self, options, models, progress):
        started = time.monotonic()
        while not Path(options.loads_until).exists():
            progress.loading(done=time.monotonic() - started, total=None, unit="seconds")
            time.sleep(0.05)
        return Loaded(engine="fake", model="slow", device="cpu")

    def process_one(self, work, progress):
        output = work.outputs / f"{work.stem}.out"
        output.write_text("loaded\n")
        return Finished(files=(output.name,))


processor = SlowLoader
