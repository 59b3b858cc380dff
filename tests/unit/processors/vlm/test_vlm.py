"""Real images through a real, tiny vision-language model: answers, files and review reasons."""

import random
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from tiny_vlm import ANSWERS, DESCRIBE, DRAWINGS, READ, a_work, answer, drawing, noise

from processors import contract
from processors.contract import FailureKind, Progress
from processors.vlm import AskOptions

# ---------------------------------------------------------------------------------------------- answers


@pytest.mark.parametrize("name", ANSWERS)
def test_image_is_read_letter_for_letter(name, ask):
    asked = ask(DRAWINGS / name, ANSWERS[name]["prompt"])
    assert asked.text == ANSWERS[name]["answer"]
    assert asked.finished.review == ()
    assert asked.finished.files == ("drop.md", "drop.json")
    assert asked.finished.excerpt[:20] == " ".join(asked.text.split())[:20]
    page = asked.pages[0]
    assert page["answer"] == ANSWERS[name]["answer"] and page["stop_reason"] == "stop"
    assert page["size_seen"] == page["source_size"] == list(drawing(Path(name).stem).size)
    assert 0.9 < page["lowest_token_probability"] <= 1
    assert asked.finished.details["lowest_token_probability"] == page["lowest_token_probability"]


@pytest.mark.parametrize("name", [name for name, about in ANSWERS.items() if about["task"] != "bank-statement"])
def test_image_is_read_by_a_recipe_with_its_built_in_prompt(name, ask):
    about = ANSWERS[name]
    asked = ask(DRAWINGS / name, None, task=about["task"])
    assert asked.text == about["task_answer"]
    assert asked.finished.review == ()
    assert asked.pages[0]["stop_reason"] == "stop" and len(asked.pages[0]["asked"]) == 1


def test_jobs_that_share_batches_get_the_answers_they_get_alone(ask_all):
    jobs = [(DRAWINGS / name, AskOptions(prompt=about["prompt"])) for name, about in ANSWERS.items()]
    random.Random(1).shuffle(jobs)
    together = ask_all(*jobs)
    assert [asked.text for asked in together] == [ANSWERS[source.name]["answer"] for source, _ in jobs]
    alone = [ask_all(job)[0] for job in jobs]
    for one, other in zip(alone, together, strict=True):
        assert one.pages[0]["lowest_token_probability"] == pytest.approx(
            other.pages[0]["lowest_token_probability"], abs=2e-4
        )
        assert one.finished.details["tokens"] == other.finished.details["tokens"]


def test_outcome_of_a_job_does_not_wait_for_the_last_one(vlm, tmp_path):
    works = [a_work(DRAWINGS / "line.png", tmp_path, AskOptions(prompt=READ)) for _ in range(6)]  # four to a round
    reports: list[contract.WorkProgress] = []
    outcomes = vlm.process(works, Progress(reports.append))
    first, _ = next(outcomes)
    assert first is works[0]
    assert {report.job for report in reports} == {work.job for work in works[:4]}
    assert [work for work, _ in outcomes] == works[1:]


def test_pages_of_a_tiff_are_answered_in_order(ask, tmp_path):
    names = ["lines-three", "line", "lines-two", "line", "lines-three", "lines-two"]  # more than fit one round
    first, *rest = map(drawing, names)
    first.save(tmp_path / "six.tiff", save_all=True, append_images=rest)
    asked = ask(tmp_path / "six.tiff")
    assert [page["answer"] for page in asked.pages] == [answer(name) for name in names]
    assert asked.text.startswith(f"<!-- page 1 of 6 -->\n\n{answer(names[0])}\n\n<!-- page 2 of 6 -->\n\n")
    assert asked.finished.pages == 6 and asked.finished.review == ()
    assert {report.total for report in asked.reports} == {6} and {report.unit for report in asked.reports} == {"pages"}
    done = [report.done for report in asked.reports]
    assert done == sorted(done) and 4 in done and done[-1] == 6


def test_pages_of_a_pdf_are_answered_in_order(ask, tmp_path):
    first, second = drawing("shapes-three"), drawing("shapes-two")
    first.save(tmp_path / "two.pdf", save_all=True, append_images=[second], resolution=72)
    asked = ask(tmp_path / "two.pdf", DESCRIBE, dpi=72)
    assert [page["answer"] for page in asked.pages] == [answer("shapes-three"), answer("shapes-two")]
    assert asked.finished.pages == 2 and asked.finished.review == ()


def test_deep_gray_image_is_read(ask, tmp_path):
    gray = np.asarray(drawing("lines-two").convert("L")).astype(np.uint16) * 257
    Image.fromarray(gray).save(tmp_path / "deep.png")
    assert ask(tmp_path / "deep.png").text == answer("lines-two")


def test_image_that_a_phone_stored_rotated_is_read(ask, tmp_path):
    orientation = Image.Exif()
    orientation[274] = 6  # the stored picture is to be turned by 90 degrees
    turned = drawing("lines-two").transpose(Image.Transpose.ROTATE_90)
    turned.save(tmp_path / "turned.png", exif=orientation)
    assert ask(tmp_path / "turned.png").text == answer("lines-two")


def test_very_long_image_is_answered(ask, tmp_path):
    Image.new("RGB", (4000, 10), "white").save(tmp_path / "strip.png")
    page = ask(tmp_path / "strip.png").pages[0]
    assert page["source_size"] == [4000, 10] and page["stop_reason"] == "stop"


# ---------------------------------------------------------------------------------------------- review


def test_answer_cut_off_at_the_token_limit_needs_review(ask):
    asked = ask(DRAWINGS / "lines-three.png", max_new_tokens=5, retries=0)
    assert asked.review == "Page 1 of 1: the answer is cut off after 5 tokens. Raise `max_new_tokens`."
    assert answer("lines-three").startswith(asked.text) and len(asked.text) < len(answer("lines-three"))
    assert (asked.pages[0]["stop_reason"], asked.pages[0]["tokens"]) == ("length", 5)


def test_token_limit_of_one_job_does_not_cut_off_another(ask_all):
    source = DRAWINGS / "lines-three.png"
    short, whole = ask_all(
        (source, AskOptions(prompt=READ, max_new_tokens=5, retries=0)), (source, AskOptions(prompt=READ))
    )
    assert short.pages[0]["stop_reason"] == "length" and short.pages[0]["tokens"] == 5
    assert whole.text == answer("lines-three") and whole.finished.review == ()


def test_endless_loop_is_stopped_and_needs_review(ask, vlm, monkeypatch):
    """Without attention each token alone determines the next, so that the tokens repeat in a cycle."""
    for layer in vlm._engine._model.model.language_model.layers:
        monkeypatch.setattr(layer.self_attn.o_proj, "forward", torch.zeros_like)
    asked = ask(DRAWINGS / "line.png", max_new_tokens=4000, retries=0)
    page = asked.pages[0]
    assert page["stop_reason"] == "loop" and page["tokens"] < 2000
    assert "Page 1 of 1: the model was caught in a loop" in asked.review


def test_empty_answer_needs_review(ask, tmp_path):
    blank = Image.new("RGB", (196, 84), "gray")
    drawing("line").save(tmp_path / "two.tiff", save_all=True, append_images=[blank])
    asked = ask(tmp_path / "two.tiff", retries=0)
    assert asked.review == "Page 2 of 2: the answer is empty."
    assert asked.pages[0]["answer"] == answer("line")


def test_unsure_answer_needs_review_if_the_recipe_requires_it(ask, tmp_path):
    drawing("lines-two").rotate(4, fillcolor="white").save(tmp_path / "skew.png")
    unsure = ask(tmp_path / "skew.png")
    assert unsure.pages[0]["lowest_token_probability"] < 0.9 and "unsure" not in unsure.review
    assert "the model was unsure" in ask(tmp_path / "skew.png", min_token_probability=0.9).review
    assert "unsure" not in ask(DRAWINGS / "lines-two.png", min_token_probability=0.9).review


def test_page_that_cannot_be_decoded_is_reported_and_the_others_are_answered(ask, tmp_path):
    path = tmp_path / "three.tiff"
    pages = [drawing("line"), noise(196, 84), drawing("lines-two")]
    pages[0].save(path, save_all=True, append_images=pages[1:], compression="tiff_adobe_deflate")
    with Image.open(path) as tiff:
        tiff.seek(1)
        start, length = tiff.tag_v2[273][0], tiff.tag_v2[279][0]
    content = bytearray(path.read_bytes())
    content[start : start + length] = b"\x55" * length
    path.write_bytes(content)
    asked = ask(path)
    assert [page.get("answer") for page in asked.pages] == [answer("line"), None, answer("lines-two")]
    assert asked.finished.pages == 3
    assert len(asked.finished.review) == 1 and asked.review.startswith("Page 2 of 3: it could not be decoded")
    assert "*This page could not be read:" in asked.text


def test_corrupt_file_fails_alone(ask_all, tmp_path):
    (tmp_path / "cut.png").write_bytes((DRAWINGS / "line.png").read_bytes()[:600])
    options = AskOptions(prompt=READ)
    good, cut, gone, last = ask_all(
        (DRAWINGS / "line.png", options),
        (tmp_path / "cut.png", options),
        (tmp_path / "gone.png", options),
        (DRAWINGS / "lines-two.png", options),
    )
    assert cut.failed.kind is FailureKind.BAD_INPUT and "damaged" in cut.failed.message
    assert gone.failed.kind is FailureKind.ERROR
    assert good.text == answer("line") and last.text == answer("lines-two")


def test_pdf_page_too_large_to_be_legible_needs_review(ask, tmp_path):
    Image.new("RGB", (4000, 4000), "white").save(tmp_path / "poster.pdf", resolution=72)
    assert "Page 1 of 1: the model saw it at 8 dpi: small print may be lost." in ask(tmp_path / "poster.pdf").review


# ---------------------------------------------------------------------------------------------- prompts


def test_prompt_beside_the_file_overrides_that_of_the_recipe(ask, tmp_path):
    (tmp_path / "line.png.prompt").write_text(f"\ufeff{READ}\n", encoding="utf-8")
    asked = ask(DRAWINGS / "line.png", DESCRIBE, {"prompt": tmp_path / "line.png.prompt"})
    assert asked.text == answer("line")
    assert asked.finished.details["prompt"] == READ and asked.finished.details["prompt_source"] == "sidecar"


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b" \n", "is empty"),
        (b"caf\xe9", "is not UTF-8 text (byte 3)"),
        (b"x" * (16 * 1024 + 1), "is longer than 16 KiB"),
        (bytes(random.Random(1).choices(b"qwxzkjv", k=16 * 1024)), "too long for this model"),
    ],
    ids=["empty", "latin-1", "long", "longer than the model's memory"],
)
def test_invalid_prompt_is_refused(content, expected, ask, tmp_path):
    (tmp_path / "line.png.prompt").write_bytes(content)
    asked = ask(DRAWINGS / "line.png", READ, {"prompt": tmp_path / "line.png.prompt"})
    assert asked.failed.kind is FailureKind.BAD_INPUT and expected in asked.failed.message


def test_error_about_a_missing_prompt_shows_what_to_write(ask):
    asked = ask(DRAWINGS / "line.png", None)
    assert asked.failed.kind is FailureKind.BAD_INPUT and '"line.png.prompt"' in asked.failed.message


@pytest.mark.parametrize("task", ["read", "describe"])
def test_tasks_have_a_built_in_prompt(task, ask):
    asked = ask(DRAWINGS / "line.png", None, task=task, max_new_tokens=2)
    assert asked.finished.details["prompt_source"] == "built-in"
    assert len(asked.finished.details["prompt"]) > 100
