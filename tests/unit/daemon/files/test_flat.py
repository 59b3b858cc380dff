"""The names of the files of flat results."""

import os

import pytest

from daemon.files import flat

FACTS = {
    "size_bytes": 3,
    "files": [{"name": "march.txt", "size_bytes": 1}, {"name": "parts/a.png", "size_bytes": 2}],
    "original": {"path": "march.pdf"},
}


@pytest.mark.parametrize(
    ("entry", "first", "second"),
    [
        ("march.pdf", "march.pdf", "march (2).pdf"),
        ("march.pdf.toml", "march.pdf.toml", "march (2).pdf.toml"),
        ("march", "march", "march (2)"),
        ("march.en.srt", "march.en.srt", "march (2).en.srt"),
        ("marches.txt", "march.marches.txt", "march (2).marches.txt"),
        ("attachments", "march.attachments", "march (2).attachments"),
        ("note.txt", "march.note.txt", "march (2).note.txt"),
    ],
)
def test_each_file_begins_with_the_name_of_the_result(entry: str, first: str, second: str):
    assert flat.visible_names("march.pdf", "march", [entry]) == {entry: first}
    assert flat.visible_names("march.pdf", "march (2)", [entry]) == {entry: second}


@pytest.mark.parametrize(
    ("name", "entries"),
    [
        ("march.pdf", ["march.txt", "txt", "_.txt", ".txt"]),
        ("result.png", ["result.json", "json", "result_.json"]),
        ("error.txt", ["error.txt", "error.json", "original"]),
        ("x" * 250 + ".pdf", ["x" * 200 + ".txt", "x" * 250 + ".pdf", "x" * 249 + ".pdf", "y" * 255]),
        ("ü" * 127, ["ü" * 127, "ü" * 100 + ".txt", "ü" * 126 + "." + "ü" * 60]),
        ("\udcff.txt", ["\udcff.txt", "\\xff.txt"]),
    ],
)
@pytest.mark.parametrize("number", ["", " (2)"])
def test_names_are_valid_and_differ_and_are_no_documents(name: str, entries: list[str], number: str):
    stem = flat.names.result_stem(name) + number
    found = flat.visible_names(name, stem, entries)
    assert found.keys() == set(entries) and len(set(found.values())) == len(entries)
    assert not {"result.json", "error.json", "error.txt"} & set(found.values())
    assert all(len(os.fsencode(each)) <= 255 and "/" not in each for each in found.values())
    assert found == flat.visible_names(name, stem, reversed(entries))


@pytest.mark.parametrize("suffix_bytes", [4, 40, 54, 60, 63, 64, 100, 250])
def test_names_of_two_numbers_always_differ(suffix_bytes: int):
    """Or else the search for a free number would never end."""
    name = "x" * (254 - suffix_bytes) + "." + "y" * suffix_bytes
    stem, entries = flat.names.result_stem(name), [name, f"{name[:249]}.txt", "y" * 255]
    first, tenth = (set(flat.visible_names(name, stem + number, entries).values()) for number in ("", " (10)"))
    assert not first & tenth and all(each.startswith(f"{stem} (10)") for each in tenth)


@pytest.mark.parametrize("record", ["x" * 200, "x" * 255, "ü" * 127])
def test_any_number_of_names_that_are_cut_differ(record: str):
    entries = [f"{'y' * 250}{number:03}.txt" for number in range(300)]
    found = flat.visible_names("x.txt", record, entries)
    assert len(set(found.values())) == 300 and all(len(os.fsencode(each)) <= 255 for each in found.values())


def test_files_of_a_flat_result_are_beside_each_other():
    places = flat.FilePlaces(".results/bank/march (2)", "march.pdf", FACTS)
    assert places.path("march.txt") == "bank/march (2).txt"
    assert places.path("march.pdf") == "bank/march (2).pdf"
    assert places.path("parts/a.png") == "bank/march (2).parts/a.png"
    assert places.path("result.json") == ".results/bank/march (2)/result.json"
    assert places.path("corrected/march.csv") == ".results/bank/march (2)/corrected/march.csv"


def test_files_of_other_results_are_in_their_folder():
    places = flat.FilePlaces("bank/march (2)", "march.pdf", FACTS)
    assert places.path("parts/a.png") == "bank/march (2)/parts/a.png"
    assert flat.shown("bank/march (2)") == "bank/march (2)"
    assert flat.shown(".results/bank/march") == "bank/march.*"


@pytest.mark.parametrize("facts", [{"files": 5}, {"files": [5]}, {"files": [{"name": ""}]}, {"original": 5}], ids=str)
def test_damaged_document_leaves_the_plain_names(facts: dict[str, object]):
    assert flat.FilePlaces(".results/march", "march.pdf", facts).path("march.txt") == "march.txt"


@pytest.mark.parametrize("name", ["/etc/passwd", "../x", "", "a//b"])
def test_strange_names_raise_no_error(name: str):
    assert not flat.FilePlaces(".results/march", "march.pdf", {}).path(name).startswith(("/", ".."))
