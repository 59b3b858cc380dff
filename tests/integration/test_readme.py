"""The commands, queries and links of the documentation work."""

import re
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
import requires
from paths import DATA, ROOT
from sandbox import Place
from typer.testing import CliRunner

from daemon import config
from daemon.cli.main import app

README = (ROOT / "README.md").read_text()
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_the_ten_queries_run_as_shown(place: Place):
    requires.program("sqlite3")
    place.drop("meeting notes.txt", "words")
    place.drain()
    queries = re.search(r"```sql\n(.*?)```", README, re.DOTALL)[1]
    assert queries.count(";") == 10
    done = subprocess.run(
        ["sqlite3", "-readonly", str(place.state / "jobs.db")], input=queries, capture_output=True, text=True
    )
    assert done.returncode == 0 and done.stderr == "", done.stderr
    assert "done|1" in done.stdout and "meeting notes" in done.stdout


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_file_and_heading_a_page_points_to_is_there(page: Path):
    for target, heading in re.findall(r"\]\(([^)#:]*)(?:#([^)]*))?\)", page.read_text()):
        aim = (page.parent / target).resolve() if target else page
        assert aim.exists(), target
        if heading:
            titles = re.findall(r"^#+ (.*)", aim.read_text(), re.MULTILINE)
            assert heading in {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}, heading


def test_every_command_of_the_readme_is_known():
    for command in set(re.findall(r"\.venv/bin/inboxd (\w+)", README)):
        assert CliRunner().invoke(app, [command, "--help"]).exit_code == 0, command
    assert CliRunner().invoke(app, ["nothing", "--help"]).exit_code != 0


@pytest.mark.parametrize("page", [README, CONTRIBUTING], ids=["README.md", "CONTRIBUTING.md"])
def test_every_make_target_of_a_page_is_there(page: str):
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = set(re.findall(r"(?:`|^)make ([a-z-]+)", page, re.MULTILINE))
    assert named and named <= targets, named - targets


def test_every_package_is_on_the_code_map():
    packages = {
        str(path.parent.relative_to(ROOT))
        for root in ("daemon", "processors")
        for path in (ROOT / root).glob("*/__init__.py")
    }
    assert packages <= set(re.findall(r"\]\(([^)]*)\)", CONTRIBUTING))


def _blocks(page: Path, language: str) -> list[str]:
    """The fenced code blocks of a page, without the indent of a list item."""
    found = re.findall(rf"^( *)```{language}\n(.*?)^\1```", page.read_text(), re.DOTALL | re.MULTILINE)
    return [textwrap.dedent(block) for _, block in found]


@pytest.mark.parametrize("page", [page for page in PAGES if page.name != "CONTRIBUTING.md"], ids=lambda page: page.name)
def test_settings_that_a_page_shows_are_valid(page: Path, tmp_path: Path):
    shutil.copy(DATA / "schemas" / "statement.json", tmp_path)
    for block in _blocks(page, "toml"):
        is_for_config = re.search(r"^\[", block, re.MULTILINE)  # a NAME.toml has no tables
        assert is_for_config or 'recipe = "' in block
        if is_for_config:
            (tmp_path / "config.toml").write_text(block)
            config.load(tmp_path / "config.toml")


def test_the_example_processor_passes_its_example_test(tmp_path: Path):
    """In a copy of the package `processors`, as CONTRIBUTING.md says."""
    shutil.copytree(ROOT / "processors", tmp_path / "processors")
    module, test = _blocks(ROOT / "CONTRIBUTING.md", "python")
    (tmp_path / "processors" / "image_size.py").write_text(module)
    (tmp_path / "test_image_size.py").write_text(test)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--rootdir", ".", "test_image_size.py"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0 and "1 passed" in done.stdout, done.stdout + done.stderr
