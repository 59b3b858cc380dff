"""The layout stage: regions of a page in reading order, each with its prompt, and nothing that is printed is lost."""

from pathlib import Path

import layout_model
import pytest
import tiny_vlm
import vlm_families
from PIL import Image, ImageDraw

from processors.contract import Finished, Progress
from processors.vlm import AskOptions, Vlm, VlmOptions, families
from processors.vlm.document.layout_stage import LayoutStage
from processors.vlm.families import RegionKind
from processors.vlm.regions import Region, cut_out, kind_of, leaves_out_ink, without_nested
from processors.vlm.retry_ladder import PageResult, RetryLadder, Strategy
from processors.vlm.types import PageAnswer, StopReason

PADDLE = families.find("paddleocr_vl")
TEXT = Region(left=0.1, top=0.1, right=0.9, bottom=0.4)
TABLE = Region(left=0.1, top=0.5, right=0.9, bottom=0.9, kind=RegionKind.TABLE)


def a_page() -> Image.Image:
    page = Image.new("RGB", (400, 600), "white")
    draw = ImageDraw.Draw(page)
    draw.rectangle((60, 80, 340, 200), fill="black")
    draw.rectangle((60, 320, 340, 500), fill="black")
    return page


class Found:
    """A layout model that finds these regions."""

    name = "layout"

    def __init__(self, *regions: Region):
        self._regions = list(regions)

    def regions(self, page: Image.Image) -> list[Region]:
        return self._regions


def an_answer(text: str, reason: StopReason = StopReason.STOP) -> PageAnswer:
    return PageAnswer(
        text=text, stop_reason=reason, tokens=3, prompt_tokens=7, lowest_token_probability=0.9, size_seen=None
    )


def a_ladder(stage: LayoutStage, result: PageResult) -> RetryLadder:
    regions = stage.apply(a_page(), result)
    return RetryLadder(result, a_page(), "OCR:", AskOptions(task="read"), "", PADDLE, regions)


# ---------------------------------------------------------------------------------------------- regions


@pytest.mark.parametrize(
    ("label", "kind"),
    [
        ("table", RegionKind.TABLE),
        ("display_formula", RegionKind.FORMULA),
        ("Header Image", RegionKind.PICTURE),
        ("doc_title", RegionKind.TEXT),
        ("a label of a later version", RegionKind.TEXT),
    ],
)
def test_kind_follows_from_the_label(label: str, kind: RegionKind):
    assert kind_of(label) is kind


def test_region_within_another_is_read_once():
    within = Region(left=0.2, top=0.2, right=0.5, bottom=0.3)
    assert without_nested([within, TEXT, TEXT, TABLE]) == [TEXT, TABLE]
    beside = Region(left=0.1, top=0.38, right=0.9, bottom=0.5)
    assert without_nested([TEXT, beside]) == [TEXT, beside]


def test_regions_are_cut_out_with_the_prompts_of_their_kinds():
    picture = Region(left=0, top=0.9, right=1, bottom=1, kind=RegionKind.PICTURE)
    speck = Region(left=0.5, top=0.95, right=0.51, bottom=0.96)
    found = cut_out(a_page(), [TABLE, TEXT, picture, speck], PADDLE.region_prompts)
    assert [each.prompt for each in found] == ["Table Recognition:", "OCR:"]
    assert found[0].image.size == (324, 246), "with a margin"


def test_ink_outside_all_regions_is_noticed():
    assert not leaves_out_ink(a_page(), [TEXT, TABLE])
    assert leaves_out_ink(a_page(), [TEXT])
    assert not leaves_out_ink(Image.new("RGB", (100, 100), "white"), [])


# ---------------------------------------------------------------------------------------------- requests


def test_answers_about_regions_become_the_text_of_the_page():
    result = PageResult(number=1)
    ladder = a_ladder(LayoutStage(Found(TEXT, TABLE), PADDLE, 1_280_000), result)
    assert [request.prompt for request in ladder.requests] == ["OCR:", "Table Recognition:"]
    ladder.add_answers([an_answer("One."), an_answer("<fcel>A<fcel>B<nl>")])
    assert ladder.is_done and result.best.text.startswith("One.\n\n| A | B |")
    assert result.notes == ()


def test_empty_region_is_accepted_and_a_loop_leads_to_the_complete_page():
    result = PageResult(number=1)
    ladder = a_ladder(LayoutStage(Found(TEXT, TABLE), PADDLE, 1_280_000), result)
    ladder.add_answers([an_answer(""), an_answer("B")])
    assert ladder.is_done and result.best.text == "B"
    result = PageResult(number=1)
    ladder = a_ladder(LayoutStage(Found(TEXT, TABLE), PADDLE, 1_280_000), result)
    ladder.add_answers([an_answer("A", StopReason.LOOP), an_answer("B")])
    assert [request.image.width for request in ladder.requests] == [400, 400], "two halves of the page"
    ladder.add_answers([an_answer("A"), an_answer("B")])
    assert result.best.strategy is Strategy.HALVES and result.best.text == "A\nB"


@pytest.mark.parametrize(("regions", "why"), [((), "found no region"), ((TEXT,), "left out a part")])
def test_page_of_which_something_would_be_lost_is_read_complete(regions: tuple[Region, ...], why: str):
    result = PageResult(number=1)
    ladder = a_ladder(LayoutStage(Found(*regions), PADDLE, 1_280_000), result)
    [request] = ladder.requests
    assert request.prompt == "OCR:" and request.image.size == (400, 600)
    assert why in result.notes[0]


# ---------------------------------------------------------------------------------------------- the model


@pytest.mark.slow
def test_reading_order_is_that_of_all_pairs():
    import torch

    from processors.vlm.engine.layout import _reading_order

    wanted = [2, 0, 3, 1]  # the rank of each query
    before = torch.tensor([[one < other for other in wanted] for one in wanted])
    assert _reading_order(torch.where(before, 5.0, -5.0)).tolist() == wanted


@pytest.mark.slow
@pytest.mark.parametrize("model_type", ["paddleocr_vl", "glm_ocr"])
def test_page_is_read_region_by_region(model_type: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The real classes of both models end to end. Random weights are sure of nothing, so all regions count."""
    from processors.vlm.document import layout_stage
    from processors.vlm.engine import layout

    monkeypatch.setattr(layout, "_THRESHOLD", 0.0)
    monkeypatch.setattr(layout_stage, "leaves_out_ink", lambda page, regions: False)
    model = vlm_families.write_model(tmp_path / model_type, model_type)
    detector = layout_model.write_model(tmp_path / "layout")
    vlm = Vlm()
    options = VlmOptions(model=str(model), layout=str(detector), device="cpu", threads=1, pages_at_once=4)
    vlm.load(options, tmp_path, Progress(lambda message: None))
    page = tiny_vlm.drawing("statement-two").resize((1600, 1200))
    page.save(tmp_path / "page.png")
    found = vlm._layout._detector.regions(page)
    assert len(found) == 20 and all(0 <= each.left <= each.right <= 1 for each in found)
    (tmp_path / "out").mkdir()
    options = AskOptions(task="read", max_new_tokens=3, retries=0)
    work = tiny_vlm.a_work(tmp_path / "page.png", tmp_path / "out", options)
    [(_, outcome)] = vlm.process([work], Progress(lambda message: None))
    assert isinstance(outcome, Finished), outcome
    [page] = tiny_vlm.Asked(outcome, work, []).pages
    assert len(page["asked"][0]["answers"]) > 1


@pytest.mark.slow
def test_damaged_layout_model_is_unavailable(tmp_path: Path):
    import torch

    from processors.contract import Unavailable
    from processors.vlm.engine.layout import LayoutDetector

    (tmp_path / "config.json").write_text('{"model_type": "pp_doclayout_v3"}')
    (tmp_path / "model.safetensors").write_bytes(b"none")
    with pytest.raises(Unavailable, match="layout model in .* cannot be loaded"):
        LayoutDetector.load(tmp_path, str(tmp_path), tmp_path, torch.device("cpu"))


def test_layout_model_is_used_only_where_it_is_installed_and_wanted(tmp_path: Path):
    from processors.vlm import _layout_stage

    class Engine:
        family, max_pixels = PADDLE, 1_280_000

    assert _layout_stage(VlmOptions(), tmp_path, Engine()) is None
    assert _layout_stage(VlmOptions(layout="none"), tmp_path, Engine()) is None
