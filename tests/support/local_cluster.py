"""Both halves of a remote worker in one process, with real worker processes: the link calls the far half in threads."""

import contextlib
import os
import pickle
import queue
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as Late
from dataclasses import replace
from pathlib import Path
from typing import Any, NoReturn

from processors import protocol
from processors.cluster import near
from processors.cluster.far import FarHalf
from processors.cluster.link import FarError, Lost
from processors.cluster.nodes import Target
from processors.line_reader import LineReader

TARGET = Target(
    address="auto",
    token_file="",
    models="",
    node="box2",
    node_id="00",
    cpus=1.0,
    gpus=0.0,
    threads=1,
    memory_max="80%",
)


class LocalReply:
    def __init__(self, future: "Future[bytes]"):
        self._future = future

    def wait(self, seconds: float) -> object:
        try:
            return pickle.loads(self._future.result(seconds))
        except Late as error:
            raise Lost(f"The node box2 did not answer for {seconds:g} s.") from error
        except Lost:
            raise
        except Exception as error:
            raise FarError(str(error)) from error


class LocalLink:
    """A link whose test may change what passes (`on_call`), or let nothing pass any more (`is_cut`)."""

    def __init__(self, far: FarHalf):
        self.far = far
        self.is_cut = threading.Event()
        self.is_closed = False
        self._closing = threading.Event()
        self.on_call: Callable[[str, tuple[Any, ...]], tuple[Any, ...]] = lambda method, arguments: arguments
        self._threads = ThreadPoolExecutor(16)

    def call(self, method: str, *arguments: object) -> LocalReply:
        try:
            return LocalReply(self._threads.submit(self._carry, method, pickle.dumps(arguments)))
        except RuntimeError as error:  # it is closed
            raise Lost("The node box2 is gone.") from error

    def _carry(self, method: str, arguments: bytes) -> bytes:
        if self.is_cut.is_set():
            self._closing.wait(30)
        self.far.note_call()
        return pickle.dumps(getattr(self.far, method)(*self.on_call(method, pickle.loads(arguments))))

    def close(self) -> None:
        self.is_closed = True
        self._closing.set()
        self.far.stop()
        self._threads.shutdown(wait=False, cancel_futures=True)


_END = b"the end"


class RemoteWorker:
    """A near half, as the daemon sees it: messages in and out, and its exit status."""

    def __init__(
        self,
        processor: str,
        folder: Path,
        options: dict[str, object] | None = None,
        link: LocalLink | None = None,
        shared: Path | None = None,
    ):
        self.link = link or LocalLink(FarHalf(folder))
        self.status: int | None = None
        self.messages: queue.SimpleQueue[protocol.Message | None] = queue.SimpleQueue()  # None: it has ended
        requests, self._requests = os.pipe()
        replies, self._replies = os.pipe()
        self._reader = LineReader(replies)
        half = near.NearHalf(
            processor,
            replace(TARGET, shared=str(shared or "")),
            lambda *_: self.link,
            os.fdopen(self._replies, "wb", buffering=0),
            end=self._end,
        )
        threading.Thread(target=half.serve, args=(LineReader(requests),), daemon=True).start()
        threading.Thread(target=self._read, daemon=True).start()
        self.send(protocol.Load(options=options or {}, models=str(folder)))

    def send(self, message: protocol.Message) -> None:
        os.write(self._requests, protocol.encode(message))

    def close(self) -> None:
        """As the daemon ends a worker."""
        os.close(self._requests)

    def lose_daemon(self) -> None:
        """As if the daemon were killed: nothing reads the replies any more."""
        os.close(self._requests)
        unread, broken = os.pipe()
        os.close(unread)
        os.dup2(broken, self._replies)
        os.close(broken)

    def next(self, kind: type[Any] | None = None) -> Any:
        """The next message that is no progress."""
        while True:
            message = self.messages.get(timeout=30)
            if not isinstance(message, protocol.WorkProgress):
                assert kind is None or isinstance(message, kind), message
                return message

    def wait_for_end(self) -> int:
        while self.messages.get(timeout=30) is not None:
            pass
        assert self.status is not None
        return self.status

    def _read(self) -> None:
        with contextlib.suppress(OSError):
            while (line := self._reader.next(wait=True)) is not None:
                self.messages.put(None if line.strip() == _END else protocol.decode(line))

    def _end(self, status: int) -> NoReturn:
        if self.status is None:
            self.status = status
            try:
                os.write(self._replies, _END + b"\n")  # behind all messages, of which some may be unread
            except BrokenPipeError:
                self.messages.put(None)
        threading.Event().wait()  # the thread never goes on, as after os._exit
        raise AssertionError
