"""A processor for pretended devices: its memory, and how long it loads and runs, are options. Its result is what it
sees of the devices."""

import os
import time
from pathlib import Path

from pydantic import Field

from processors.contract import Finished, Kind, Loaded, Options, Processor, Progress, Work


class OnDeviceOptions(Options):
    device: str = Field(default="auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$")
    load_seconds: float = 0.0
    run_seconds: float = 0.0
    runs_until: str = ""  # a file that is not there yet


class OnDevice(Processor):
    name = "fakes.on_device"
    kinds = frozenset({Kind.TEXT})
    Options = OnDeviceOptions

    def load(self, options: OnDeviceOptions, models: Path, progress: Progress) -> Loaded:
        self._seconds, self._until = options.run_seconds, options.runs_until
        time.sleep(options.load_seconds)
        self._sees = os.environ.get("CUDA_VISIBLE_DEVICES", "")
        return Loaded(engine="pretended", model=self._sees, device="cuda:0" if self._sees else "cpu")

    def process_one(self, work: Work, progress: Progress) -> Finished:
        time.sleep(self._seconds)
        while self._until and not Path(self._until).exists():
            progress.job(work, done=0, total=None, unit="seconds")
            time.sleep(0.05)
        (work.outputs / "sees.txt").write_text(self._sees)
        return Finished(files=("sees.txt",))


processor = OnDevice
