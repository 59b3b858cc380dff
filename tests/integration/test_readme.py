"""The commands, queries and links of the documentation work."""

import re
import subprocess
from pathlib import Path

import pytest
from paths import ROOT
from sandbox import Place
from typer.testing import CliRunner

from daemon.cli.main import app

README = (ROOT / "README.md").read_text()
CONTRIBUTING = (ROOT / "CONTRIBUTING.md").read_text()
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


def test_the_ten_queries_run_as_shown(place: Place):
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
