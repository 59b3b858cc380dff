"""Every curl line of docs/api.md, in their order, against a real daemon and console."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable

import pytest
from paths import ROOT
from sandbox import Place
from web_process import TOML, WebProcess

COMMANDS = [
    line
    for block in re.findall(r"```sh\n(.*?)```", (ROOT / "docs/api.md").read_text(), re.DOTALL)
    for line in block.splitlines()
    if line.startswith("curl")
]


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl here")
def test_examples_succeed(make_place: Callable[[str], Place]):
    place = make_place(TOML)
    place.start()
    web = WebProcess(place)
    for name, content in {"letter.txt": "one", "second.txt": "two", "part1": "1234", "part2": "5678"}.items():
        (place.home / name).write_text(content)
    job = web.upload("first.txt", "text", wait=60)
    environment = {**os.environ, "INBOXD": web.address, "TOKEN": web.token, "JOB": job["id"][:8]}
    assert len(COMMANDS) > 15
    for command in COMMANDS:
        line = command.replace("curl -sS", "curl -sS --fail-with-body")
        done = subprocess.run(["bash", "-c", line], cwd=place.home, env=environment, capture_output=True, timeout=120)
        assert done.returncode == 0, f"{command}\n{done.stdout.decode()}\n{done.stderr.decode()}"
        assert done.stdout, command
    place.verify()
