"""A server of a model, faked by a process of its own: how it is to behave, and what it was asked."""

import json
import os
import subprocess
import sys
import urllib.request
from typing import Any

from paths import PYTHONPATH, ROOT

KEY = "secret-8f2c"  # that it wants


class FakeServer:
    """The process of fakes.`module`."""

    def __init__(self, module: str, *arguments: str):
        self._process = subprocess.Popen(
            [sys.executable, "-m", f"fakes.{module}", *arguments],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": PYTHONPATH, "KEY": KEY},
            stdout=subprocess.PIPE,
        )
        self.root = f"http://127.0.0.1:{int(self._process.stdout.readline())}"
        self._opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))

    def behave(self, *behaviors: dict[str, Any]) -> None:
        """Set the responses to the next requests, one each."""
        self._opener.open(urllib.request.Request(f"{self.root}/behave", json.dumps(behaviors).encode())).close()

    def asked(self) -> Any:
        """Return the requests that the server received; see its module."""
        with self._opener.open(f"{self.root}/asked") as response:
            return json.load(response)

    def stop(self) -> None:
        self._process.kill()
        self._process.wait()
        self._process.stdout.close()
