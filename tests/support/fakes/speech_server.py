"""A server of OpenAI's audio/transcriptions, as a process: `python -m fakes.speech_server` prints its port.

It reports how much sound it received. POST /behave sets a list of misbehaviors, of which each request takes the next.
GET /asked returns the requests. If KEY is set, each request must send that key.
"""

import email
import email.policy
import io
import json
import os
import threading
import wave
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

asked: list[dict[str, Any]] = []
behaviors: list[dict[str, Any]] = []
never = threading.Event()


class Server(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/asked":
            self._send(200, asked)
        elif self._may():
            self._send(200, {"object": "list", "data": [{"id": "tiny"}]})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.path == "/behave":
            behaviors[:] = json.loads(body)
            return self._send(200, {})
        if not self._may():
            return None
        fields = _fields(self.headers["content-type"], body)
        with wave.open(io.BytesIO(fields.pop("file"))) as sound:
            seconds = sound.getnframes() / sound.getframerate()
            form = (sound.getnchannels(), sound.getsampwidth(), sound.getframerate())
        asked.append({"path": self.path, "seconds": seconds, "form": form} | {k: v.decode() for k, v in fields.items()})
        behavior = behaviors.pop(0) if behaviors else {}
        if "status" in behavior:
            return self._send(behavior["status"], {"error": {"message": behavior.get("says", "no")}})
        if behavior.get("hang"):
            never.wait(timeout=20)
            return None
        text = f"I was sent {seconds:.0f} seconds."
        if asked[-1]["response_format"] == "json":
            return self._send(200, {"text": text})
        word = {"word": "seconds", "start": 0.5, "end": 1.0}
        segment = {"id": 0, "start": 0.0, "end": seconds, "text": text, "avg_logprob": -0.2}
        answer = {"language": "english", "duration": seconds, "text": text, "segments": [segment], "words": [word]}
        return self._send(200, behavior.get("answer", answer))

    def _may(self) -> bool:
        if self.headers.get("authorization") == f"Bearer {os.environ['KEY']}":
            return True
        self._send(401, {"error": {"message": "wrong key"}})
        return False

    def _send(self, status: int, body: Any) -> None:
        content = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(content)))
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments: object) -> None:
        pass


def _fields(content_type: str, body: bytes) -> dict[str, bytes]:
    """Return the fields of multipart/form-data: content by name."""
    head = f"content-type: {content_type}\r\n\r\n".encode()
    message = email.message_from_bytes(head + body, policy=email.policy.HTTP)
    found = message.iter_parts()
    return {part.get_param("name", header="content-disposition"): part.get_payload(decode=True) for part in found}


def main() -> None:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Server)
    server.daemon_threads = True
    print(server.server_port, flush=True)
    server.serve_forever()


if __name__ == "__main__":
    main()
