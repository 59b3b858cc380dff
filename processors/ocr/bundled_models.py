"""The models within RapidOCR's wheel. Imports no engine."""

from importlib.util import find_spec
from pathlib import Path

from processors.contract import Unavailable


def find_model(task: str) -> Path:
    """The model of "det" (detection) or "rec" (recognition).

    Raises:
        Unavailable: rapidocr was installed without its models, or not at all.
    """
    spec = find_spec("rapidocr")
    if spec is None or spec.origin is None:
        raise Unavailable("RapidOCR is not installed. Install it: pip install rapidocr")
    folder = Path(spec.origin).parent / "models"
    found = sorted(folder.glob(f"*_{task}_*.onnx"))
    if not found:
        raise Unavailable(
            f"RapidOCR's models are not in {folder}. Reinstall it: pip install --force-reinstall rapidocr"
        )
    return found[-1]


def model_name() -> str:
    return " + ".join(find_model(task).stem for task in ("det", "rec"))
