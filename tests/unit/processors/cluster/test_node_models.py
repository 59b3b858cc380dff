"""The program that manages weights, run on nodes. Without Ray: the far half is in this process."""

import json
import os
from pathlib import Path

import pytest
from local_cluster import LocalLink

from processors import models_cli
from processors.cluster import node_models
from processors.cluster.far import FarHalf
from processors.cluster.node_models import OnLine

pytestmark = pytest.mark.programs


@pytest.fixture
def link(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PYTHONPATH", os.path.abspath("."))
    (tmp_path / "node").mkdir()
    made = LocalLink(FarHalf(tmp_path / "node"))
    yield made
    made.close()


@pytest.fixture
def models_there(tmp_path: Path) -> Path:
    """The folder of a node that has the model "base"."""
    path = tmp_path / "there" / "whisper" / "base.pt"
    path.parent.mkdir(parents=True)
    path.write_bytes(b"weights")
    return tmp_path / "there"


Lines = list[tuple[str, str, bool]]


def _run(link: LocalLink, *arguments: str) -> tuple[int, Lines]:
    lines: Lines = []
    code = node_models.run_on("box1", link, arguments, lambda *line: lines.append(line))
    return code, lines


def test_models_of_a_node_are_listed(link: LocalLink, models_there: Path):
    code, lines = _run(link, "--models", str(models_there), "--with-parent", "list", "--json")
    assert code == 0 and {node for node, _, _ in lines} == {"box1"}
    present = {fields["name"] for fields in (json.loads(line) for _, line, _ in lines) if fields["present"]}
    assert present == {"base"}


def test_exit_code_and_messages_of_a_node_are_passed_on(link: LocalLink, models_there: Path):
    code, lines = _run(link, "--models", str(models_there), "verify", "tiny")
    assert code == os.EX_NOINPUT
    assert lines == [("box1", 'tiny is not stored here. Run "inboxd models fetch tiny".', True)]


def test_node_that_does_not_answer_is_named(link: LocalLink, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(node_models, "START_SECONDS", 0.1)
    link.is_cut.set()
    code, [(node, message, is_error)] = _run(link, "list")
    assert (code, node, is_error) == (os.EX_UNAVAILABLE, "box1", True) and "did not answer" in message


# ---------------------------------------------------------------------------------------- the command


@pytest.fixture
def nodes(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """Nodes by name, and the lines that the program prints there; with the arguments that it was given, under ""."""
    lines: dict[str, list[str]] = {}

    def run(address: str, token_file: str, arguments: list[str], on_line: OnLine) -> int:
        lines[""] = [address, token_file, *arguments]
        for node, printed in lines.items():
            for line in printed if node else ():
                on_line(node, line, False)
        return 3 if "box2" in lines else 0

    monkeypatch.setattr(node_models, "run", run)
    return lines


def _model(name: str, present: bool) -> str:
    return json.dumps({"event": "model", "name": name, "present": present})


def _command(tmp_path: Path, *arguments: str) -> int:
    return models_cli.main(["--models", str(tmp_path), "--cluster=auto", "--token-file=token", *arguments])


def test_list_shows_the_models_of_each_node(
    nodes: dict[str, list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    nodes["box1"] = [_model("tiny", True), _model("base", False), _model("ocr-greek", True)]
    nodes["box2"] = [_model("tiny", False)]
    assert _command(tmp_path, "list") == 3, "the highest exit code"
    assert capsys.readouterr().out.endswith("box1: stored there: tiny, ocr-greek\nbox2: stored there: no models\n")
    assert nodes[""] == ["auto", "token", "--models", str(tmp_path), "--with-parent", "list", "--json"]


def test_list_for_scripts_names_the_node(nodes: dict[str, list[str]], tmp_path: Path, capsys):
    nodes["box1"] = [_model("tiny", True)]
    assert _command(tmp_path, "list", "--json") == 0
    objects = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert objects[-1] == {"event": "model", "name": "tiny", "present": True, "node": "box1"}
    assert all("node" not in each for each in objects[:-1])


def test_other_commands_are_repeated_on_the_nodes_if_asked(nodes: dict[str, list[str]], tmp_path: Path, capsys):
    nodes["box1"] = ["Removed tiny."]
    assert _command(tmp_path, "remove", "tiny") == 0 and "" not in nodes
    assert _command(tmp_path, "--node-models=/srv/models", "remove", "--nodes", "tiny") == 0
    assert nodes[""][2:] == ["--models", "/srv/models", "--with-parent", "remove", "tiny"]
    assert capsys.readouterr().out.endswith("box1: Removed tiny.\n")


def test_nodes_need_a_cluster(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    assert models_cli.main(["--models", str(tmp_path), "remove", "--nodes", "tiny"]) == os.EX_CONFIG
    assert "[cluster] address" in capsys.readouterr().err
