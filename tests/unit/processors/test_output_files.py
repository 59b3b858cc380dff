"""Output files that a worker refuses to report."""

from pathlib import Path

import pytest

from processors import output_files


def test_output_with_the_name_of_the_document_is_refused(tmp_path: Path):
    (tmp_path / "result.json").write_text("{}")
    for name in ("result.json", "./result.json", "x/../result.json"):
        with pytest.raises(ValueError, match=r"reserved.*stem"):
            output_files.finalize(tmp_path, name)


@pytest.mark.parametrize("escape", ["../outside.txt", "/etc/hostname", "link.txt", "link/x.txt", "missing.txt"])
def test_output_outside_the_attempts_folder_is_refused(tmp_path: Path, escape: str):
    (tmp_path / "outside.txt").write_text("x")
    outputs = tmp_path / "outputs"
    outputs.mkdir()
    (outputs / "link.txt").symlink_to(tmp_path / "outside.txt")
    (outputs / "folder").mkdir()
    (outputs / "folder" / "x.txt").touch()
    (outputs / "link").symlink_to("folder")
    with pytest.raises(ValueError, match="not a regular file in the attempt's folder"):
        output_files.finalize(outputs, escape)
