"""OCR: the text of images and PDF pages in reading order, and the rows of bank statements. No download, no GPU.

The engine is RapidOCR, whose wheel contains its models; it is imported when the processor is loaded. A good text layer
of a PDF page is used instead of OCR. Imported by the daemon to check its configuration, so nothing heavy is imported
here: `file_reader` is imported once a file is read.
"""

from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from processors import malloc
from processors.contract import Finished, GpuUse, Kind, Loaded, Processor, Progress, Work
from processors.ocr.bundled_models import model_name
from processors.ocr.options import OcrOptions, ReadOptions

if TYPE_CHECKING:
    from processors.ocr.engine import RapidOcrEngine
    from processors.ocr.file_reader import FileReader

__all__ = ["Ocr", "OcrOptions", "ReadOptions", "processor"]


class Ocr(Processor[OcrOptions, ReadOptions]):
    name = "ocr"
    kinds = frozenset({Kind.IMAGE})
    Options = OcrOptions
    Recipe = ReadOptions
    _threads: int | None = None
    _models = Path()

    @classmethod
    def gpu_use(cls, options: OcrOptions) -> GpuUse:
        return GpuUse.NONE

    @classmethod
    def import_libraries(cls) -> None:
        import cv2  # noqa: F401
        import pypdfium2  # noqa: F401
        from PIL import Image  # noqa: F401

        from processors.ocr import file_reader  # noqa: F401
        from processors.pages import content, images  # noqa: F401

    def load(self, options: OcrOptions, models: Path, progress: Progress) -> Loaded:
        malloc.keep()
        self._threads, self._models = options.threads, models
        return Loaded(engine="rapidocr", model=model_name(), device="cpu")

    @cached_property
    def _engine(self) -> "RapidOcrEngine":
        """OCR, loaded when the first page needs it: a PDF file with a good text layer does not."""
        from processors.ocr.engine import RapidOcrEngine

        return RapidOcrEngine.load(self._threads)

    def process_one(self, work: Work[ReadOptions], progress: Progress) -> Finished:
        """Read every page; report those that cannot be decoded.

        Raises:
            BadInput: no page can be decoded.
        """
        try:
            return self._file_reader().process(work, progress)
        finally:
            malloc.give_back()

    def _file_reader(self) -> "FileReader":
        from processors.ocr.file_reader import FileReader

        return FileReader(lambda: self._engine, self._models)


processor = Ocr
