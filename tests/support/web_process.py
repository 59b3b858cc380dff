"""A real `inboxd web` beside the daemon of a place, and a client that has its token."""

import re
from typing import Any

import httpx2 as httpx
from forked_inboxd import Inboxd
from sandbox import Place, wait_for

TOML = (
    Place.TEXT
    + """
        [web]
        listen = "127.0.0.1:0"
    """
)


class WebProcess:
    def __init__(self, place: Place):
        self._place = place
        self.log = place.home / "web.log"
        self.start()

    def start(self) -> None:
        """Start it; after a stop, on another port."""
        arguments = ["web", "--config", str(self._place.config)]
        with self.log.open("wb") as log:
            self.process = Inboxd(
                arguments, cwd=self._place.home, env=self._place.environment(), stdout=log, stderr=log
            )
        self._place.adopt(self.process)
        self.address = wait_for(self._find_address, "the address of the console")
        self.token = (self._place.state / "web-token").read_text().strip()
        headers = {"Authorization": f"Bearer {self.token}"}
        self.client = httpx.Client(base_url=self.address, headers=headers, timeout=60, verify=False)
        wait_for(self._answers, "an answer of the console")

    def _find_address(self) -> str | None:
        assert self.process.poll() is None, self.log.read_text()
        found = re.search(r"the console is at (http://[0-9.:]+)/", self.log.read_text())
        return found[1] if found else None

    def _answers(self) -> bool:
        try:
            return self.client.get("/health").status_code == 200
        except httpx.TransportError:
            return False

    def get(self, path: str, **parameters: Any) -> Any:
        """The JSON of a response that is a success."""
        answer = self.client.get(path, params=parameters)
        assert answer.status_code == 200, answer.text
        return answer.json()

    def upload(self, name: str, content: bytes | str, **parameters: Any) -> dict[str, Any]:
        answer = self.client.put(f"/api/v1/files/{name}", content=content, params=parameters)
        assert answer.status_code == 201, answer.text
        return dict(answer.json())
