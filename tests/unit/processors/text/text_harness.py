"""Runs the processor `text` on one file, as its worker does."""

from dataclasses import dataclass
from pathlib import Path

from works import work_on

from daemon.intake.filetype import sniff
from processors.contract import Finished, Kind, Progress, Work
from processors.text import Text, TextOptions, TextRecipe


@dataclass(frozen=True, kw_only=True)
class Outcome:
    finished: Finished
    text: str
    outputs: Path

    @property
    def review(self) -> str:
        return "\n".join(self.finished.review)


def work_of(folder: Path, name: str, content: bytes, **recipe: bool) -> Work:
    """Write a file; return the work to read it by its true type."""
    source, outputs = folder / name, folder / "outputs"
    source.write_bytes(content)
    outputs.mkdir(exist_ok=True)
    found = sniff(source)
    assert found.kind is Kind.TEXT, found
    return work_on(
        source,
        outputs=outputs,
        kind=found.kind,
        media_type=found.media_type,
        recipe="text",
        options=TextRecipe(**recipe),
    )


def read(folder: Path, name: str, content: bytes, *, options: TextOptions | None = None, **recipe: bool) -> Outcome:
    """Write a file, and read it by its true type."""
    work = work_of(folder, name, content, **recipe)
    outputs, processor, progress = work.outputs, Text(), Progress(lambda message: None)
    processor.load(options or TextOptions(max_seconds=20, max_memory="700MB"), folder, progress)
    finished = processor.process_one(work, progress)
    assert sorted(finished.files) == sorted(
        str(path.relative_to(outputs)) for path in outputs.rglob("*") if path.is_file()
    )
    return Outcome(finished=finished, text=(outputs / finished.files[0]).read_text(encoding="utf-8"), outputs=outputs)
