"""The vision-language model through the daemon: files, settings and results."""

import hashlib
import json
import os
import shutil

import pytest
from paths import ROOT
from sandbox import Place
from tiny_vlm import DRAWINGS, STATEMENT_SCHEMA, TINY, answer

pytestmark = pytest.mark.slow
PASSWORD = "pâte 7 à tarte"
CONFIG = f"""
[inbox]
settle_seconds = 0.1
[inbox.folders.bank]
image = "rows"
[inbox.folders.shapes]
image = "shapes"
[recipes.rows]
processor = "vlm"
task = "extract"
json_schema = "schemas/statement.json"
prompt = "Extract the bank statement transactions as JSON."
[recipes.shapes]
processor = "vlm"
task = "summarize"
prompt = "Describe this image."
dpi = 72
max_new_tokens = 24
retries = 0
[processors.vlm]
model = "{TINY}"
device = "cpu"
"""


@pytest.fixture(scope="module")
def drained(tmp_path_factory) -> Place:
    home = tmp_path_factory.mktemp("vlm")
    (home / "schemas").mkdir()
    shutil.copy(STATEMENT_SCHEMA, home / "schemas")
    place = Place(home, CONFIG)
    for name in ("statement-two", "line"):
        place.drop(f"bank/{name}.png", (DRAWINGS / f"{name}.png").read_bytes())
    locked = (ROOT / "tests" / "data" / "locked.pdf").read_bytes()
    place.drop("shapes/locked.pdf.password", f"{PASSWORD}\n")
    place.drop("shapes/locked.pdf", locked)
    place.drop("shapes/wrong.pdf.password", "guess")
    place.drop("shapes/wrong.pdf", locked)
    place.drain(check=1)
    return place


def test_data_is_beside_its_original_and_its_schema_is_recorded(drained: Place):
    folder = drained.outbox / "bank" / "statement-two"
    assert json.loads((folder / "statement-two.json").read_text()) == json.loads(answer("statement-two"))
    assert {path.name for path in folder.iterdir()} == {
        "statement-two.json",
        "statement-two.pages.json",
        "statement-two.png",
        "result.json",
    }
    result = drained.result("bank/statement-two.png")
    assert (result["engine"], result["model"], result["device"]) == ("transformers", str(TINY), "cpu")
    assert result["options"]["json_schema"] == json.loads(STATEMENT_SCHEMA.read_text())
    assert result["review"] == [] and result["details"]["lowest_token_probability"] > 0.9


def test_uncertain_values_are_in_the_job_log(drained: Place):
    assert "the model was unsure of /transactions/0/" in drained.row("bank/line.png")["review"]


def test_encrypted_pdf_is_read_with_its_password(drained: Place):
    pages = json.loads((drained.outbox / "shapes" / "locked" / "locked.json").read_text())["pages"]
    assert [page["answer"] for page in pages] == [answer("shapes-three"), answer("shapes-two")]


def test_password_stays_with_its_original_and_is_written_nowhere_else(drained: Place):
    assert (drained.outbox / "shapes" / "locked" / "locked.pdf.password").read_text() == f"{PASSWORD}\n"
    files = {path: path.read_bytes() for path in drained.home.rglob("*") if path.is_file()}
    assert {path.name for path, content in files.items() if PASSWORD.encode() in content} == {"locked.pdf.password"}
    checksum = hashlib.sha256(f"{PASSWORD}\n".encode()).hexdigest()  # from which it would soon be guessed
    assert not [path for path, content in files.items() if checksum.encode() in content]


def test_error_about_a_wrong_password_shows_what_to_do(drained: Place):
    folder = drained.outbox / "failed" / "shapes" / "wrong"
    assert "Correct it and drop both files again" in (folder / "error.txt").read_text()
    assert (folder / "wrong.pdf.password").read_text() == "guess"
    assert os.listdir(drained.state / "kept") == [] if (drained.state / "kept").exists() else True


def test_every_byte_is_accounted_for(drained: Place):
    drained.verify()
