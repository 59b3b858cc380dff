"""What OCR costs, counted in pixels and settings: CPU time depends on the load of the machine."""

from PIL import Image, ImageDraw, ImageFont

from processors.ocr import Ocr, engine, ink


def _page(lines: int) -> Image.Image:
    page = Image.new("RGB", (1240, 1754), "white")
    for number in range(lines):
        text = f"Keys handed over: {number + 2} for the door, one for the cellar"
        ImageDraw.Draw(page).text((80, 80 + 60 * number), text, font=ImageFont.load_default(28), fill="black")
    return page


def test_waiting_threads_sleep(ocr: Ocr):
    for model in (ocr._engine._rapidocr.text_det, ocr._engine._rapidocr.text_rec):
        options = model.session.session.get_session_options()
        assert options.get_session_config_entry("session.intra_op.allow_spinning") == "0"


def test_lines_are_recognized_without_the_padding_of_a_batch(ocr: Ocr):
    assert ocr._engine._rapidocr.text_rec.rec_batch_num == 1


def test_detection_sees_a_few_lines_no_larger_than_it_needs():
    found = ink.find_ink(_page(6))
    area = engine._area(found, (1240, 1754))
    prepared, _ = engine._prepared(_page(6), area, engine._scale(found, area))
    assert prepared.shape[0] * prepared.shape[1] < 700_000
