"""A small server that speaks OpenAI's chat completions and sees drawn pictures. It can be made to fail."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from io import BytesIO
from typing import Any

from PIL import Image

from .looking import Looking

Trouble = Callable[[int], "tuple[int, dict[str, str], bytes] | float | None"]
"""From a request's number to a response in place of an answer, or to seconds to wait; None: an answer."""
MODEL = "looking-vl"


@dataclass
class ChatServer:
    """A running server: its address, and what it was asked."""

    address: str
    looking: Looking
    trouble: Trouble = lambda number: None
    requests: list[dict[str, Any]] = field(default_factory=list)
    keys: set[str] = field(default_factory=set)
    connections: set[int] = field(default_factory=set)


@contextmanager
def serving(looking: Looking | None = None, trouble: Trouble = lambda number: None) -> Iterator[ChatServer]:
    """A server for the duration of the context."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            running.requests.append(body)
            running.keys.add(self.headers.get("Authorization", ""))
            running.connections.add(self.client_address[1])
            made = running.trouble(len(running.requests))
            if isinstance(made, float):
                time.sleep(made)
                made = None
            self._send(*(made or (200, {}, json.dumps(self._completion(body)).encode())))

        def _completion(self, body: dict[str, Any]) -> dict[str, Any]:
            content = body["messages"][0]["content"]
            picture = None
            if content[0]["type"] == "image_url":
                data = content[0]["image_url"]["url"].partition("base64,")[2]
                picture = Image.open(BytesIO(base64.b64decode(data)))
            text = running.looking.answer(content[-1]["text"], picture)
            return {
                "choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
                "usage": {"prompt_tokens": 100, "completion_tokens": 7, "total_tokens": 107},
            }

        def _send(self, status: int, headers: dict[str, str], content: bytes) -> None:
            try:
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)
            except OSError:  # the client was killed
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    running = ChatServer(f"http://127.0.0.1:{server.server_address[1]}/v1", looking or Looking(), trouble)
    threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
    try:
        yield running
    finally:
        server.shutdown()
        server.server_close()
