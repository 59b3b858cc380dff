"""A model server that the worker starts itself: `engine = "vllm"`, or any command in `server`."""

import threading
from collections.abc import Callable, Sequence
from pathlib import Path

from processors.contract import Progress, Unavailable
from processors.remote import child
from processors.remote.child import ChildServer
from processors.vlm import families
from processors.vlm.engine import weights
from processors.vlm.engine.server import ServerEngine, failed
from processors.vlm.families import Family
from processors.vlm.options import VlmOptions
from processors.vlm.types import PageAnswer, PageRequest


class ServedEngine(ServerEngine):
    """A `ServerEngine` that starts its own server, and starts it again if it ends. See `types.VlmEngine`."""

    def __init__(self, options: VlmOptions, server: ChildServer, family: Family):
        super().__init__(options.model_copy(update={"base_url": server.url, "api_key_env": child.KEY}), family)
        self._child, self._alone = server, threading.Lock()
        # The port differs from start to start, and must not make the checkpoints of earlier starts useless.
        self.made_by = {**self.made_by, "server": " ".join(options.server_command)}
        self.device_name = Path(options.server_command[0]).name

    @classmethod
    def start(cls, options: VlmOptions, models: Path, progress: Progress) -> "ServedEngine":
        """Start the server of `options` and wait until it is ready.

        Raises:
            Unavailable: the weights are missing, or the server does not start.
        """
        folder = weights.find(options.model, models)
        if folder is None and options.serves_local_weights:
            raise Unavailable(weights.why_missing(options.model, models))
        fields = {"model": str(folder or options.model), "name": options.model}
        server = ChildServer(options.server_command, fields, options.start_timeout)
        try:
            server.ensure_running(lambda seconds: progress.loading(seconds, None, "seconds"))
            family = families.of_folder(folder, options.model) if folder else families.find(name=options.model)
            engine = cls(options, server, family)
            engine._use_served_name()
        except BaseException:
            server.stop()
            raise
        return engine

    def _use_served_name(self) -> None:
        """Request the model by the name that the server gives it, if it serves only one."""
        served = self._served()
        if len(served) == 1:
            self._model = served[0]

    def close(self) -> None:
        super().close()
        self._child.stop()

    def answer(self, requests: Sequence[PageRequest], heartbeat: Callable[[], None]) -> list[PageAnswer]:
        """As for any server, but first start the server again if it has ended."""
        self._child.ensure_running(lambda seconds: heartbeat())
        return super().answer(requests, heartbeat)

    def answer_one(self, request: PageRequest) -> PageAnswer:
        """As for any server. If the server ends meanwhile, repeat the request once: another page may have been the
        cause."""
        self._child.ensure_running(_nothing)
        try:
            return super().answer_one(request)
        except Unavailable:
            if not self._child.has_ended():
                raise
        with self._alone:  # one request at a time: if the server ends again, its page is the cause
            self._child.ensure_running(_nothing)
            try:
                return super().answer_one(request)
            except Unavailable:
                if not self._child.has_ended():
                    raise
        size = request.image.size if request.image is not None else None
        return failed(f"The model server ended while it answered this page ({self._child.why_ended()}).", size)


def _nothing(seconds: float) -> None:
    pass
