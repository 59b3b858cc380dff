"""Recognition models of further scripts, each a file models/ocr/NAME.onnx with NAME.json beside it.

RapidOCR's wheel lists where they are published, and their checksums. Imports no engine.
"""

from importlib.util import find_spec
from pathlib import Path

from processors.contract import Unavailable
from processors.models import storage
from processors.models.storage import NoSource, ProgressCallback, Record
from processors.ocr.languages import LANGUAGES

MODELS = {  # name: RapidOCR's name of the script
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
_VERSION, _FORM = "PP-OCRv5", "{}_PP-OCRv5_rec_mobile"


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
        url, sha256 = _source(name)
        fetched = own / final.name
        storage.download(url, sha256, fetched, report)
        size = fetched.stat().st_size
        return fetched, Record(name=name, source=url, sha256=sha256, licence=_LICENSE, bytes=size)

    return storage.store_once(final, lambda: present(name, models), download, report)


def _source(name: str) -> tuple[str, str]:
    """The address and SHA-256 of a model."""
    import yaml  # a dependency of RapidOCR

    try:
        listed = yaml.safe_load(_list_of_models().read_text(encoding="utf-8"))
        model = listed["onnxruntime"][_VERSION]["rec"][_FORM.format(MODELS[name])]
        return model["model_dir"], model["SHA256"]
    except (OSError, KeyError, TypeError) as error:
        raise NoSource(f"The installed RapidOCR does not list {name}. Update it: pip install -U rapidocr") from error


def _list_of_models() -> Path:
    spec = find_spec("rapidocr")
    return Path(spec.origin if spec and spec.origin else "rapidocr").parent / "default_models.yaml"


def languages_of(name: str) -> list[str]:
    """The languages that a model reads."""
    return [language for language, model in LANGUAGES.items() if model == name]


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
