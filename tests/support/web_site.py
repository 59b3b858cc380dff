"""A web application on folders of its own, with a real job log and results; there is no daemon."""

import json
from pathlib import Path
from typing import Any

from factories import make_job
from starlette.testclient import TestClient

from daemon import config
from daemon.config.settings import Settings
from daemon.core.job import Job, JobState
from daemon.queue.store import Store
from daemon.web import app

TOKEN = "a-token-of-the-tests-0123"


class Site:
    """The folders, and a client that has the token."""

    def __init__(self, home: Path, toml: str = ""):
        (home / "config.toml").write_text(f"[web]\n{toml}\n")
        self.settings: Settings = config.load(home / "config.toml")
        for folder in (self.settings.inbox, self.settings.outbox, self.settings.state):
            folder.mkdir(exist_ok=True)
        self.settings.web_token.write_text(TOKEN)
        self.settings.web_token.chmod(0o600)
        self.store = Store(self.settings.database)
        self.app = app.build(self.settings)
        self.client = TestClient(self.app, "http://127.0.0.1:8100", headers={"Authorization": f"Bearer {TOKEN}"})
        self.stranger = TestClient(self.app, "http://127.0.0.1:8100")

    def add(self, *, files: dict[str, str] | None = None, original: str | None = None, **fields: Any) -> Job:
        """Record a job; with `files`, also its result."""
        if files is not None or original is not None:
            fields = {"state": JobState.DONE, "result_path": "result", **fields}
        job = make_job(**fields)
        self.store.insert([job])
        if files is not None or original is not None:
            self.write_result(job, files or {}, original)
        return job

    def write_result(self, job: Job, files: dict[str, str], original: str | None) -> None:
        folder = self.settings.outbox / str(job.result_path)
        folder.mkdir(parents=True, exist_ok=True)
        for name, content in files.items():
            (folder / name).write_text(content)
        if original is not None:
            (folder / job.name).write_text(original)
        listed = [{"name": name, "size_bytes": len(text), "sha256": "0" * 64} for name, text in files.items()]
        where = {"policy": "keep", "path": job.name if original is not None else None}
        (folder / "result.json").write_text(json.dumps({"job": job.id, "files": listed, "original": where}))

    def close(self) -> None:
        self.store.close()
