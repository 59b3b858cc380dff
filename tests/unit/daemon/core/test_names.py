"""How file names are shown, shortened and checked."""

import os

import pytest

from daemon.core import names
from daemon.core.names import result_stem


@pytest.mark.parametrize("path", ["", "x", "a/b/c d", "..a/b..", ".hidden", os.fsdecode(b"caf\xe9"), "é" * 127])
def test_path_that_stays_below_its_folder_is_safe(path: str):
    assert names.is_safe_relative(path)


@pytest.mark.parametrize(
    "path",
    ["/", "/etc", "..", "../x", "a/../b", "a/..", ".", "a/./b", "a//b", "a/", "a\0b", "é" * 128, "\ud800"]
    + ["/".join(["folder"] * 600)],
)
def test_path_that_could_lead_elsewhere_is_not_safe(path: str):
    assert not names.is_safe_relative(path)


def test_only_the_daemons_own_spelling_is_a_job_id():
    job = "0a1b2c3d-0000-4000-8000-00000000000a"
    assert names.is_job_id(job)
    for other in (job.upper(), job.replace("-", ""), f"{{{job}}}", f"urn:uuid:{job}", "1" * 32, f"{job}\n", "", "x"):
        assert not names.is_job_id(other)


@pytest.mark.parametrize(
    ("name", "stem"),
    [
        ("a.tar.gz", "a.tar"),
        ("noext", "noext"),
        ("new\nline.txt", "new\\x0aline"),
        (os.fsdecode(b"caf\xe9.txt"), "caf\\xe9"),
        ("é" * 120 + ".txt", "é" * 100),
    ],
)
def test_result_names_are_printable_and_short(name: str, stem: str):
    assert result_stem(name) == stem


@pytest.mark.parametrize(
    ("name", "other"),
    [("x.txt", "x (2).txt"), ("y" * 255, "y" * 251 + " (2)"), ("z." + "s" * 253, "z." + "s" * 249 + " (2)")],
)
def test_numbered_name_is_never_too_long(name: str, other: str):
    assert names.numbered(name, 2) == other and len(other) <= 255


@pytest.mark.parametrize("name", ["result.pdf", "result", "result.json", "résumé.pdf", "result.tar.gz", "Result.pdf"])
def test_no_output_has_the_name_of_the_document(name: str):
    assert f"{names.output_stem(name)}.json" != "result.json"
    assert names.output_stem(name).startswith(result_stem(name))
    assert result_stem(name) == "result" or names.output_stem(name) == result_stem(name)
