"""What OCR costs, counted in pixels and settings: CPU time depends on the load of the machine."""

from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont
from works import work_on

from processors.ocr import Ocr, ReadOptions, detection, ink, recognition, text


def _page(lines: int) -> Image.Image:
    page = Image.new("RGB", (1240, 1754), "white")
    for number in range(lines):
        line = f"Keys handed over: {number + 2} for the door, one for the cellar"
        ImageDraw.Draw(page).text((80, 80 + 60 * number), line, font=ImageFont.load_default(28), fill="black")
    return page


def test_waiting_threads_sleep(ocr: Ocr):
    for model in (ocr._engine._rapidocr.text_det, ocr._engine._rapidocr.text_rec):
        options = model.session.session.get_session_options()
        assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"


def test_lines_are_recognized_without_the_padding_of_a_batch(ocr: Ocr):
    assert ocr._engine._rapidocr.text_rec.rec_batch_num == 1


def test_detection_sees_a_few_lines_no_larger_than_it_needs():
    found = ink.find_ink(_page(6))
    area = detection.area_of(found, (1240, 1754))
    prepared, _ = detection.prepare(_page(6), area, detection.scale_for(found, area))
    assert prepared.shape[0] * prepared.shape[1] < 700_000


def test_specks_do_not_make_the_letters_of_a_page_smaller():
    page, chance = _page(6), np.random.default_rng(1)
    clean = ink.find_ink(page)
    for x, y in chance.integers((0, 500), (1230, 1740), (400, 2)).tolist():
        page.paste("black", (x, y, x + 5, y + 5))
    specked = ink.find_ink(page)
    assert len(specked.letters) > 2 * len(clean.letters)
    assert specked.letter_height == clean.letter_height


def test_only_the_formats_of_the_recipe_are_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    made = []
    monkeypatch.setattr(text, "to_markdown", lambda *_, **__: made.append("md"))
    monkeypatch.setattr(text, "_json", lambda *_: made.append("json"))
    work = work_on(tmp_path / "page.pdf", options=ReadOptions())
    finished = text.finish_text(work, [text.PageText(number=1)], ("txt",), (), {})
    assert finished.files == ("page.txt",) and made == []


def test_short_line_is_recognized_with_little_padding_unless_the_model_is_not_certain(
    ocr: Ocr, monkeypatch: pytest.MonkeyPatch
):
    model = ocr._engine._recognizer
    session, widths = model.session, []

    def run(lines: np.ndarray) -> np.ndarray:
        widths.append(lines.shape[3])
        found: np.ndarray = session(lines)
        return found

    monkeypatch.setattr(model, "session", run)
    line = np.full((40, 100, 3), 255, np.uint8)
    noise = np.random.default_rng(5).integers(0, 255, (40, 100, 3), np.uint8)
    cv2.putText(line, "Rent", (8, 29), cv2.FONT_HERSHEY_SIMPLEX, 0.9, (0, 0, 0), 2, cv2.LINE_AA)
    assert recognition.read_line(model, line)[0] == "Rent"
    recognition.read_line(model, noise)
    assert widths == [184, 184, 320]
