"""Compare the memory for a file of many hours with that for one hour: one worker's resident memory, hour by hour.

    python -m benchmarks.long_sound --sound FILE [--hours 10] [--way fast] [--write]

The benchmark repeats FILE for this many hours and transcribes it with tiny.en on one thread of the CPU. `--write`
appends a section to benchmarks/SPEECH.md.
"""

import argparse
import math
import os
import resource
import tempfile
from pathlib import Path

import av
import numpy as np

from benchmarks.speech import work_on
from processors.contract import Finished, Progress, WorkProgress
from processors.memory import resident_bytes
from processors.whisper import TranscribeOptions, Whisper, WhisperOptions
from processors.whisper.audio import reader

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "SPEECH.md"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sound", type=Path, required=True)
    parser.add_argument("--hours", type=float, default=10)
    parser.add_argument("--way", choices=("exact", "fast"), default="fast")
    parser.add_argument("--models", type=Path, default=ROOT / "state" / "models")
    parser.add_argument("--write", action="store_true")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "long.flac"
        repeat(given.sound, path, given.hours * 3600)
        seen = _Seen()
        processor = Whisper()
        processor.load(WhisperOptions(model="tiny.en", device="cpu", threads=1), given.models, Progress(print))
        outputs = Path(folder) / "out"
        outputs.mkdir()
        options = TranscribeOptions(way=given.way, beam_size=None, best_of=None, language="en", formats=("txt",))
        ((_, outcome),) = processor.process([work_on(path, outputs, options)], Progress(seen.tell))
        assert isinstance(outcome, Finished), outcome
        words = len((outputs / "t.txt").read_text(encoding="utf-8").split())
    used = resource.getrusage(resource.RUSAGE_SELF)
    peak, cpu = used.ru_maxrss / 1024, used.ru_utime + used.ru_stime
    head = "| hour | " + " | ".join(f"{hour}" for hour in seen.by_hour) + " |"
    row = "| MB | " + " | ".join(f"{most:.0f}" for most in seen.by_hour.values()) + " |"
    text = (
        f'\n## A file of {outcome.media_seconds / 3600:.1f} hours, `way = "{given.way}"`\n\n'
        f"{cpu:.0f} CPU s, {words:,} words, peak memory {peak:.0f} MB. The highest resident memory in each hour of "
        f"the audio:\n\n{head}\n{'| --- ' * (1 + len(seen.by_hour))}|\n{row}\n"
    )
    print(text)
    if given.write:
        with RESULTS.open("a", encoding="utf-8") as file:
            file.write(text)


class _Seen:
    def __init__(self) -> None:
        self.by_hour: dict[int, float] = {}  # MB by hour of the audio, counted from 1

    def tell(self, told: WorkProgress) -> None:
        hour = int(told.done // 3600) + 1
        new = self.by_hour.setdefault(hour, 0.0) == 0.0
        self.by_hour[hour] = max(self.by_hour[hour], resident_bytes(os.getpid(), and_descendants=False) / 2**20)
        if new:
            print(f"hour {hour}: {self.by_hour[hour]:.0f} MB", flush=True)


def repeat(source: Path, target: Path, seconds: float) -> None:
    """Repeat the audio, as FLAC at 16 kHz, for at least this many seconds."""
    with reader.open_track(source) as track:
        once = np.concatenate([block.samples for block in track.blocks()])
    samples = (once * 32767).astype(np.int16)[None]
    with av.open(str(target), "w") as out:
        stream = out.add_stream("flac", rate=reader.SAMPLE_RATE_HZ, layout="mono")
        for _ in range(math.ceil(seconds * reader.SAMPLE_RATE_HZ / once.size)):
            for start in range(0, once.size, reader.SAMPLE_RATE_HZ):
                frame = av.AudioFrame.from_ndarray(
                    samples[:, start : start + reader.SAMPLE_RATE_HZ], format="s16", layout="mono"
                )
                frame.sample_rate = reader.SAMPLE_RATE_HZ
                out.mux(stream.encode(frame))
        out.mux(stream.encode(None))


if __name__ == "__main__":
    main()
