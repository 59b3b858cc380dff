"""A server of OpenAI's chat completions, as a process: `python -m fakes.model_server [FOLDER]` prints its port.

With the folder of a model it lets that answer; without, it says what it was shown and asked. How it misbehaves, and
what it says instead, is told to it by POST /behave: a list, of which each completion takes the next.
GET /asked tells what was asked. A key in KEY must be sent with each request.
"""

import base64
import io
import json
import os
import re
import socket
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from PIL import Image

asked: list[dict[str, Any]] = []
behaviors: list[Any] = []
changing = threading.Condition()
at_once = {"now": 0, "most": 0}
engine = None


class Server(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/asked":
            return self._send(200, {"asked": asked, "most_at_once": at_once["most"]})
        if self._may() and self.path == "/v1/models":
            return self._send(200, {"object": "list", "data": [{"id": "tiny", "object": "model"}]})
        if self.path == "/health":
            return self._send(404, {"error": {"message": "no such path"}})
        return None

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        if self.path == "/behave":
            behaviors[:] = body
            return self._send(200, {})
        if not self._may():
            return None
        if self.path != "/v1/chat/completions":
            return self._send(404, {"error": {"message": "no such path"}})
        with changing:
            at_once["now"] += 1
            at_once["most"] = max(at_once["most"], at_once["now"])
            behavior = behaviors.pop(0) if behaviors else {}
            if "together" in behavior:  # answered once so many are being asked
                changing.notify_all()
                changing.wait_for(lambda: at_once["most"] >= behavior["together"], timeout=20)
            at_once["now"] -= 1  # before the answer, upon which the next one is asked
        self._complete(body, behavior)
        return None

    def _may(self) -> bool:
        key = os.environ.get("KEY")
        if key and self.headers.get("authorization") != f"Bearer {key}":
            self._send(401, {"error": {"message": "wrong key"}})
            return False
        return True

    def _complete(self, body: dict[str, Any], behavior: dict[str, Any]) -> None:
        content = body["messages"][0]["content"]
        asked.append({**body, "messages": None, "prompt": content[-1]["text"], "images": len(content) - 1})
        if behavior.get("refuses") in body:
            return self._send(400, {"error": {"message": f"unknown field {behavior['refuses']}"}})
        if found := re.match(r"Exit with (\d+)\.", content[-1]["text"]):
            os._exit(int(found[1]))
        if behavior.get("exit"):
            os._exit(behavior["exit"])
        if behavior.get("drop"):
            return self.connection.shutdown(socket.SHUT_RDWR)
        if "status" in behavior:
            return self._send(behavior["status"], {"error": {"message": behavior.get("says", "no")}}, behavior)
        if behavior.get("hang"):
            with changing:
                changing.wait_for(lambda: False, timeout=20)
            return None
        image = _image(content)
        message = {"role": "assistant", "content": behavior.get("content")}
        choice = {"index": 0, "message": message, "finish_reason": behavior.get("finish", "stop")}
        if "refusal" in behavior:
            message["refusal"] = behavior["refusal"]
        elif message["content"] is None and engine is not None:
            _let_answer(choice, image, body)
        elif message["content"] is None:
            shown = f"{image.width} x {image.height}" if image else "no image"
            message["content"] = f"I see {shown}. I was asked: {content[-1]['text']}"
        used = {"prompt_tokens": 7, "completion_tokens": 3}
        return self._send(200, {"object": "chat.completion", "choices": [choice], "usage": used})

    def _send(self, status: int, body: dict[str, Any], behavior: dict[str, Any] | None = None) -> None:
        content = json.dumps(body).encode()
        if behavior and "raw" in behavior:
            content = behavior["raw"].encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(content)))
        if behavior and "retry_after" in behavior:
            self.send_header("retry-after", str(behavior["retry_after"]))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments: object) -> None:
        pass


def _image(content: list[dict[str, Any]]) -> Image.Image | None:
    if len(content) == 1:
        return None
    kind, data = content[0]["image_url"]["url"].split(",")
    assert kind == "data:image/png;base64"
    return Image.open(io.BytesIO(base64.b64decode(data))).convert("RGB")


def _let_answer(choice: dict[str, Any], image: Image.Image | None, body: dict[str, Any]) -> None:
    from processors.vlm.types import PageRequest

    wanted = body.get("response_format", {}).get("json_schema", {}).get("schema")
    question = PageRequest(
        image=image,
        prompt=body["messages"][0]["content"][-1]["text"],
        token_limit=body["max_tokens"],
        json_schema=wanted,
    )
    with changing:
        answer = engine.answer([question], lambda: None)[0]
    choice["message"]["content"], choice["finish_reason"] = answer.text, str(answer.stop_reason)
    if body.get("logprobs"):
        choice["logprobs"] = {"content": _logprobs(answer)}


def _logprobs(answer: Any) -> list[dict[str, Any]]:
    import math

    starts = [0, *(end for end, _ in answer.token_probabilities)]
    return [
        {"token": (piece := answer.text[start:end]), "bytes": list(piece.encode()), "logprob": math.log(probability)}
        for start, (end, probability) in zip(starts, answer.token_probabilities, strict=False)
    ]


def main() -> None:
    global engine
    if len(sys.argv) > 1:
        from pathlib import Path

        from processors.contract import Progress
        from processors.vlm import VlmOptions
        from processors.vlm.engine.local import TransformersEngine

        options = VlmOptions(model=sys.argv[1], device="cpu", threads=1)
        engine = TransformersEngine.load(options, Path(sys.argv[1]).parent, Progress(lambda message: None))
    server = ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "0"))), Server)
    server.daemon_threads = True
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
