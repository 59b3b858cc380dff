"""A processor that decodes every page as the real ones do, and reports its size and its process's peak memory."""

from pathlib import Path

from processors import pages
from processors.contract import Finished, Kind, Loaded, Options, Processor


class ReaderOptions(Options):
    label: str = ""  # recipes with different ones have a worker each


class Reader(Processor):
    name = "fakes.reader"
    kinds = frozenset({Kind.IMAGE})
    Options = ReaderOptions

    def load(self, options, models, progress):
        return Loaded(engine="fake", model="reader", device="cpu")

    def process_one(self, work, progress):
        sizes, notes = [], []
        with pages.open_pages(work.source, work.media_type, max_pixels=6_000_000) as opened:
            for number in range(1, opened.total + 1):
                page = opened.read(number)
                sizes.append(page.image.size)
                notes.extend(page.notes)
                progress.job(work, done=number, total=opened.total, unit="pages")
        (work.outputs / "sizes.txt").write_text(repr(sizes))
        return Finished(
            files=("sizes.txt",),
            pages=len(sizes),
            details={"sizes": sizes, "notes": notes, "peak_bytes": _peak_bytes()},
        )


def _peak_bytes():
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:"))


processor = Reader
