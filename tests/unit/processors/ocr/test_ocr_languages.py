"""Recognition models of further scripts: chosen by language, downloaded, used beside the built-in one."""

import hashlib
import http.server
import json
import shutil
import threading
from pathlib import Path

import pydantic
import pytest
from PIL import Image, ImageDraw, ImageFont
from works import work_on

from processors import bidi, models_cli
from processors.contract import Progress, Unavailable, Work
from processors.models.storage import Damaged
from processors.ocr import Ocr, OcrOptions, ReadOptions, downloaded_models, fast_model
from processors.ocr.bundled_models import find_model
from processors.ocr.languages import LANGUAGES

CONTENT = b"a model"


@pytest.fixture
def published(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A server with one model, and RapidOCR's list that names it."""
    folder = tmp_path / "server"
    folder.mkdir()
    (folder / "el.onnx").write_bytes(CONTENT)

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments: object):
            super().__init__(*arguments, directory=str(folder))

        def log_message(self, *arguments: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()

    def publish(sha256: str) -> None:
        url = f"http://127.0.0.1:{server.server_port}/el.onnx"
        listed = tmp_path / "default_models.yaml"
        model = {"model_dir": url, "SHA256": sha256}
        listed.write_text(json.dumps({"onnxruntime": {"PP-OCRv5": {"rec": {"el_PP-OCRv5_rec_mobile": model}}}}))
        monkeypatch.setattr(downloaded_models, "_list_of_models", lambda: listed)

    yield publish
    server.shutdown()
    server.server_close()


def test_model_is_downloaded_listed_verified_and_removed(published, tmp_path: Path, capsys):
    published(hashlib.sha256(CONTENT).hexdigest())
    run = ["--models", str(tmp_path / "models")]
    assert models_cli.main([*run, "fetch", "ocr-greek"]) == 0
    assert downloaded_models.location("ocr-greek", tmp_path / "models").read_bytes() == CONTENT
    assert models_cli.main([*run, "list"]) == 0 and "ocr-greek" in capsys.readouterr().out
    assert models_cli.main([*run, "verify", "ocr-greek"]) == 0
    downloaded_models.location("ocr-greek", tmp_path / "models").write_bytes(b"another")
    assert models_cli.main([*run, "remove", "ocr-greek"]) == 0
    assert not any((tmp_path / "models" / "ocr").glob("ocr-*"))


def test_download_that_differs_from_the_list_is_not_stored(published, tmp_path: Path):
    published("0" * 64)
    with pytest.raises(Damaged):
        downloaded_models.fetch("ocr-greek", tmp_path, lambda *progress: None)
    assert downloaded_models.find("ocr-greek", tmp_path) is None


def test_rapidocr_lists_every_model():
    for name in downloaded_models.MODELS:
        url, sha256 = downloaded_models._source(name)
        assert url.endswith(".onnx") and len(sha256) == 64
    assert {*LANGUAGES.values(), *fast_model.NAMES} == set(downloaded_models.MODELS)


def test_unknown_language_is_an_error_of_the_configuration():
    with pytest.raises(pydantic.ValidationError, match="no OCR model for xx; choose from: ar, be"):
        ReadOptions(languages=("xx",))


def _work(folder: Path) -> Work:
    page = Image.new("RGB", (700, 200), "white")
    ImageDraw.Draw(page).text((40, 60), "Balance 1003 is 12.50", font=ImageFont.load_default(28), fill="black")
    page.save(folder / "page.png")
    return work_on(folder / "page.png", options=ReadOptions(languages=("el",), formats=("txt",)))


def _ocr(models: Path) -> Ocr:
    processor = Ocr()
    processor.load(OcrOptions(threads=1), models, Progress(lambda message: None))
    return processor


def test_missing_model_is_named_with_the_command_that_downloads_it(tmp_path: Path):
    with pytest.raises(Unavailable, match='Run "inboxd models fetch ocr-greek"'):
        _ocr(tmp_path).process_one(_work(tmp_path), Progress(lambda message: None))


@pytest.mark.slow
def test_model_of_a_language_reads_what_the_built_in_one_cannot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Both are the built-in model here, the first made blind."""
    from processors.ocr import recognition

    stored = downloaded_models.location("ocr-greek", tmp_path)
    stored.parent.mkdir()
    shutil.copy(find_model("rec"), stored)
    ocr = _ocr(tmp_path)
    read, blind = recognition.read_line, []

    def read_blind(model, crop):
        blind.append(model) if not blind else None
        return ("", 0.0, []) if model is blind[0] else read(model, crop)

    monkeypatch.setattr(recognition, "read_line", read_blind)
    finished = ocr.process_one(_work(tmp_path), Progress(lambda message: None))
    assert (tmp_path / "page.txt").read_text() == "Balance 1003 is 12.50\n" and finished.review == ()


def test_arabic_line_is_turned_into_logical_order():
    assert bidi.from_visual("ةنيدملا يف Nile 12 ةقش") == "شقة 12 Nile في المدينة"
    assert bidi.from_visual("Rental 12") == "Rental 12"
