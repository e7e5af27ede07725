"""A web server on loopback that serves documents with validators, and misbehaves on demand."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Fault = Callable[["Handler"], bool]


class WebServer:
    """Documents by path; `faults` are asked first and may answer instead."""

    def __init__(self) -> None:
        self.documents: dict[str, bytes] = {}
        self.types: dict[str, str] = {}
        self.login = ""
        self.has_validators = True
        self.faults: list[Fault] = []
        self.requests: list[tuple[str, dict[str, str]]] = []
        self.not_modified_count = 0
        self.stalled = threading.Event()
        handler = type("Bound", (Handler,), {"state": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    @property
    def url(self) -> str:
        """The address of the server."""
        return f"http://127.0.0.1:{self._server.server_port}"

    def put(self, path: str, content: bytes | str | Any, content_type: str = "") -> None:
        """Serve a document; anything but text and bytes as JSON."""
        if not isinstance(content, (bytes, str)):
            content = json.dumps(content)
        self.documents[path] = content.encode() if isinstance(content, str) else content
        self.types[path] = content_type or "application/octet-stream"

    def index(self, **versions: list[Any]) -> None:
        """Serve an index of these scripts and their versions."""
        self.put("/api/scripts", {"scripts": list(versions)})
        for name, given in versions.items():
            self.put(f"/api/scripts/{name}/versions", {"versions": given})

    def paths(self) -> list[str]:
        """Return which paths were asked for."""
        return [path for path, _ in self.requests]

    def close(self) -> None:
        """Stop serving."""
        self.stalled.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    state: WebServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        """Answer as the faults say, or with the document."""
        state = self.state
        headers = {name.lower(): value for name, value in self.headers.items()}
        state.requests.append((self.path, headers))
        if any(fault(self) for fault in [*state.faults]):
            return
        expected = "Basic " + base64.b64encode(state.login.encode()).decode()
        if state.login and headers.get("authorization") not in (expected, f"Bearer {state.login}"):
            self.reply(401, b"")
            return
        content = state.documents.get(self.path)
        if content is None:
            self.reply(404, b"nothing here")
            return
        self._serve(content, headers)

    def _serve(self, content: bytes, headers: dict[str, str]) -> None:
        etag = f'"{hashlib.sha256(content).hexdigest()[:12]}"'
        more = {"Content-Type": self.state.types[self.path]}
        if self.state.has_validators:
            more |= {"ETag": etag, "Accept-Ranges": "bytes"}
            if headers.get("if-none-match") == etag:
                self.state.not_modified_count += 1
                self.reply(304, b"", length=-1, **more)
                return
            first = headers.get("range", "").removeprefix("bytes=").removesuffix("-")
            if first and headers.get("if-range") == etag:
                more["Content-Range"] = f"bytes {first}-{len(content) - 1}/{len(content)}"
                self.reply(206, content[int(first) :], length=-1, **more)
                return
        self.reply(200, content, length=-1, **more)

    def reply(self, status: int, content: bytes, *, length: int = -1, **more: str) -> None:
        """Answer; a `length` is told instead of the true one."""
        self.send_response(status)
        for name, value in more.items():
            self.send_header(name.replace("_", "-"), value)
        self.send_header("Content-Length", str(len(content) if length < 0 else length))
        self.end_headers()
        self.wfile.write(content)
        self.wfile.flush()
        if length >= 0:
            self.close_connection = True

    def log_message(self, *_: Any) -> None:
        """Say nothing."""
