"""Data extracted by the user's own JSON Schema: always valid, exact, and reviewed if in doubt."""

import json

import pytest
from PIL import Image
from tiny_vlm import ANSWERS, DRAWINGS, STATEMENT, STATEMENT_SCHEMA, answer, drawing, noise

from processors.vlm import AskOptions
from processors.vlm.extract import loads

SCHEMA = json.loads(STATEMENT_SCHEMA.read_text())
STATEMENTS = ["statement-one", "statement-two", "statement-four"]
# What the tiny model, which would read rows, must not be able to say.
OTHER_SCHEMA = {
    "type": "object",
    "properties": {"shop": {"enum": ["ALDI", "GYM"]}, "paid": {"type": "boolean"}},
    "required": ["shop", "paid"],
    "additionalProperties": False,
}


@pytest.fixture
def extract(ask):
    def extract(source, prompt=STATEMENT, schema=SCHEMA, **options):
        return ask(source, prompt, task="extract", json_schema=schema, **options)

    return extract


@pytest.mark.parametrize("name", STATEMENTS)
def test_statement_is_extracted_with_each_number_as_it_is_printed(name, extract):
    asked = extract(DRAWINGS / f"{name}.png")
    written = (asked.work.outputs / "drop.json").read_text()
    assert loads(written) == loads(answer(name))
    assert "895.50" in written or name != "statement-two"  # a float would have lost the nought
    assert asked.finished.files == ("drop.json", "drop.pages.json") and asked.finished.review == ()
    assert asked.about_pages[0]["answer"] == answer(name)


def test_each_value_has_its_probability(extract):
    asked = extract(DRAWINGS / "statement-two.png")
    found = asked.about_pages[0]["value_probabilities"]
    rows, fields = range(2), ("date", "description", "debit", "credit", "balance")
    assert list(found) == [f"/transactions/{row}/{field}" for row in rows for field in fields]
    assert min(found.values()) >= asked.finished.details["lowest_token_probability"] > 0.9


def test_constrained_and_free_rows_can_share_a_batch(ask_all):
    free = AskOptions(prompt=STATEMENT)
    held = AskOptions(prompt=STATEMENT, task="extract", json_schema=SCHEMA)
    other = AskOptions(prompt=STATEMENT, task="extract", json_schema=OTHER_SCHEMA)
    sources = [DRAWINGS / f"{name}.png" for name in ("statement-one", "statement-two", "statement-one")]
    asked = ask_all(*zip(sources, (free, held, other), strict=True))
    assert asked[0].text == answer("statement-one")
    assert asked[1].about_pages[0]["answer"] == answer("statement-two")
    assert set(asked[2].data) == {"shop", "paid"} and asked[2].data["shop"] in ("ALDI", "GYM")


def test_answer_forced_by_the_schema_needs_review(extract):
    asked = extract(DRAWINGS / "line.png")
    assert asked.data["transactions"] and "the model was unsure of /transactions/0/" in asked.review


def test_pages_are_merged_into_one_document(extract, tmp_path):
    first, second = drawing("statement-two"), drawing("statement-one")
    first.save(tmp_path / "two.tiff", save_all=True, append_images=[second])
    asked = extract(tmp_path / "two.tiff")
    rows = [row for name in ("statement-two", "statement-one") for row in json.loads(answer(name))["transactions"]]
    assert asked.data["transactions"] == rows
    assert asked.finished.pages == 2 and asked.finished.review == ()


def test_merged_pages_that_do_not_fit_the_schema_need_review(extract, tmp_path):
    drawing("statement-one").save(tmp_path / "two.tiff", save_all=True, append_images=[drawing("statement-one")])
    one_row = json.loads(json.dumps(SCHEMA))
    one_row["properties"]["transactions"]["maxItems"] = 1
    asked = extract(tmp_path / "two.tiff", schema=one_row)
    assert len(asked.data["transactions"]) == 2
    assert "The pages together do not fit the schema: $.transactions" in asked.review


def test_answer_that_was_cut_off_is_retried_with_a_higher_limit(extract):
    asked = extract(DRAWINGS / "statement-two.png", max_new_tokens=30)
    assert asked.data == json.loads(answer("statement-two"))
    assert [each["strategy"] for each in asked.about_pages[0]["asked"]] == ["plain", "higher limit"]
    assert asked.about_pages[0]["asked"][0]["problem"] == "cut off"
    assert asked.finished.details["asked_again"] == {"1": ["higher limit"]}


def test_page_too_long_for_one_answer_is_read_in_halves(extract):
    asked = extract(DRAWINGS / "statement-four.png", max_new_tokens=12)
    tried = asked.about_pages[0]["asked"]
    assert [each["strategy"] for each in tried] == ["plain", "higher limit", "two halves"]
    assert len(tried[2]["answers"]) == 2


def test_answer_that_stays_cut_off_needs_review_and_all_answers_are_saved(extract):
    asked = extract(DRAWINGS / "statement-two.png", max_new_tokens=3, retries=1)
    assert asked.finished.files == ("drop.pages.json",)  # no data rather than half of it
    assert "Page 1 of 1: the answer is cut off after" in asked.review and "2 attempts failed" in asked.review
    raw = [text for each in asked.about_pages[0]["asked"] for text in each["answers"]]
    assert len(raw) == 2 and len(raw[0]) < len(raw[1])
    assert all(text and answer("statement-two").startswith(text) for text in raw)


def test_blank_page_needs_review(extract, tmp_path):
    Image.new("RGB", (504, 168), "white").save(tmp_path / "blank.png")
    nothing = {"type": "object", "properties": {"names": {"type": "array", "items": {"type": "string"}, "maxItems": 0}}}
    asked = extract(tmp_path / "blank.png", schema={**nothing, "required": ["names"], "additionalProperties": False})
    assert asked.data == {"names": []}
    assert "nothing was extracted" in asked.review and len(asked.about_pages[0]["asked"]) == 3


def test_any_answer_fits_the_schema_or_is_reported_not_to(ask_all, tmp_path):
    options = AskOptions(prompt=STATEMENT, task="extract", json_schema=SCHEMA, max_new_tokens=160, retries=0)
    noise(504, 168).save(tmp_path / "noise.png")
    drawing("statement-four").rotate(3, fillcolor="white").save(tmp_path / "skew.png")
    sources = [tmp_path / "noise.png", tmp_path / "skew.png", *(DRAWINGS / name for name in ANSWERS)]
    for asked in ask_all(*((source, options) for source in sources)):
        problem = asked.about_pages[0]["problem"]
        assert (problem is None) == ("drop.json" in asked.finished.files)
        assert asked.finished.review or asked.work.source.stem in STATEMENTS


def test_keyword_that_a_grammar_cannot_express_is_checked_afterwards(extract):
    forbidding = {**SCHEMA, "not": {"properties": {"transactions": {"minItems": 1}}}}
    asked = extract(DRAWINGS / "statement-one.png", schema=forbidding, retries=0)
    assert asked.finished.files == ("drop.pages.json",)
    assert "the answer does not fit the schema" in asked.review
    assert asked.about_pages[0]["answer"] == answer("statement-one")


def test_schema_replaces_its_mark_in_the_prompt(ask):
    asked = ask(DRAWINGS / "line.png", None, task="extract", json_schema=OTHER_SCHEMA)
    assert '"shop":{"enum":["ALDI","GYM"]}' in asked.finished.details["prompt"]
