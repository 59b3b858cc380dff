"""Plain text in, plain text out: the example to copy, and the processor that needs no model.

[inbox]
text = "count"

[recipes.count]
processor = "plaintext"
"""

from pathlib import Path

from pydantic import Field

from processors.contract import BadInput, Finished, Kind, Loaded, Options, Processor, Progress, RecipeOptions, Work
from processors.options import MAX_AT_ONCE


class PlaintextOptions(Options):
    max_batch: int = Field(default=64, ge=1, le=MAX_AT_ONCE)  # a file takes a millisecond; a batch costs one commit


class CountOptions(RecipeOptions):
    upper: bool = False  # write the text in capitals


class Plaintext(Processor[PlaintextOptions, CountOptions]):
    name = "plaintext"
    Options = PlaintextOptions
    kinds = frozenset({Kind.TEXT})
    Recipe = CountOptions

    def load(self, options: PlaintextOptions, models: Path, progress: Progress) -> Loaded:
        return Loaded(engine="python", model="none", device="cpu")

    def process_one(self, work: Work[CountOptions], progress: Progress) -> Finished:
        if not work.media_type.startswith("text/"):
            raise BadInput(f"This is not plain text ({work.media_type}). Use the recipe `text` to extract its text.")
        try:
            text = work.source.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise BadInput(
                f"This text is not UTF-8 (byte {error.start}); save it as UTF-8 and drop it again."
            ) from error
        progress.job(work, done=1, total=1, unit="pages")
        output = work.outputs / f"{work.stem}.txt"
        output.write_text(text.upper() if work.options.upper else text, encoding="utf-8")
        return Finished(files=(output.name,), excerpt=text[:200], details={"words": len(text.split())})


processor = Plaintext
