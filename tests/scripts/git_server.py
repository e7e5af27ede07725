"""Git's own HTTP backend on loopback, with a login and with faults, and repositories for it."""

from __future__ import annotations

import base64
import os
import ssl
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

ENVIRON = {
    "PATH": os.environ["PATH"],
    "HOME": "/nonexistent",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_AUTHOR_NAME": "kim",
    "GIT_AUTHOR_EMAIL": "kim@localhost",
    "GIT_COMMITTER_NAME": "kim",
    "GIT_COMMITTER_EMAIL": "kim@localhost",
    "GIT_CONFIG_COUNT": "1",
    "GIT_CONFIG_KEY_0": "safe.directory",
    "GIT_CONFIG_VALUE_0": "*",
}


def git(folder: Path, *words: str, stdin: bytes = b"") -> bytes:
    """Run git in a folder."""
    done = subprocess.run(
        ["git", "-C", str(folder), *words],
        input=stdin,
        capture_output=True,
        env=ENVIRON,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout


class Upstream:
    """A bare repository and a work tree to fill it from."""

    def __init__(self, root: Path) -> None:
        self.bare = root / "scripts.git"
        self.tree = root / "work"
        self.bare.mkdir(parents=True)
        git(self.bare, "init", "--bare", "-q", "-b", "main")
        git(self.bare, "config", "http.receivepack", "true")
        self.tree.mkdir()
        git(self.tree, "init", "-q", "-b", "main")
        git(self.tree, "remote", "add", "origin", str(self.bare))

    def write(self, path: str, content: bytes | str, *, mode: int = 0o644) -> None:
        """Write a file in the work tree."""
        place = self.tree / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(content if isinstance(content, bytes) else content.encode())
        place.chmod(mode)

    def script(self, name: str, version: str = "1.0.0", answer: object = 1) -> None:
        """Write a script in the work tree."""
        self.write(f"{name}/metadata.json", f'{{"name": "{name}", "version": "{version}"}}')
        self.write(f"{name}/main.py", f"def run():\n    return {answer!r}\n")

    def push(self, *tags: str, annotated: bool = False) -> str:
        """Commit what was written, tag it, push all; returns the commit."""
        git(self.tree, "add", "-A")
        git(self.tree, "commit", "-q", "--allow-empty", "-m", "change")
        for tag in tags:
            git(self.tree, "tag", *(["-a", "-m", tag] if annotated else []), tag)
        git(self.tree, "push", "-q", "--tags", "origin", "main")
        return git(self.tree, "rev-parse", "HEAD").decode().strip()


class GitServer:
    """Serves the repositories below a folder by smart HTTP."""

    def __init__(
        self,
        root: Path,
        *,
        login: str = "",
        host: str = "127.0.0.1",
        context: ssl.SSLContext | None = None,
    ) -> None:
        self.root = root
        self.login = login
        self.status = 0  # answer everything with it
        self.redirect = ""  # answer everything with a redirect there
        self.cut_after = -1  # bytes of an answer's body, then the connection is closed
        self.stalled: threading.Event | None = None  # answers wait for it
        self.requests: list[str] = []
        self.sent_bytes = 0
        self.seen_logins: list[str] = []
        handler = type("Handler", (_Handler,), {"server_state": self})
        self._server = ThreadingHTTPServer((host, 0), handler)
        self._server.daemon_threads = True
        if context is not None:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self._scheme = "http" if context is None else "https"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    @property
    def port(self) -> int:
        """The port that it listens on."""
        return self._server.server_port

    @property
    def url(self) -> str:
        """The address of the server."""
        return f"{self._scheme}://127.0.0.1:{self.port}"

    def close(self) -> None:
        """Stop serving."""
        if self.stalled is not None:
            self.stalled.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Handler(BaseHTTPRequestHandler):
    server_state: GitServer
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        if self.headers.get("Transfer-Encoding") == "chunked":
            self._answer(self._chunks())
        else:
            self._answer(self.rfile.read(int(self.headers.get("Content-Length", 0))))

    def _chunks(self) -> bytes:
        body = b""
        while size := int(self.rfile.readline(), 16):
            body += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return body

    def _answer(self, body: bytes) -> None:
        state = self.server_state
        state.requests.append(f"{self.command} {self.path}")
        given = self.headers.get("Authorization", "")
        if given:
            state.seen_logins.append(base64.b64decode(given.partition(" ")[2]).decode())
        if state.stalled is not None:
            state.stalled.wait()
        if state.redirect:
            self._send(302, [("Location", state.redirect + self.path)], b"")
        elif state.status:
            self._send(state.status, [], b"<html>sorry</html>")
        elif state.login and given != "Basic " + base64.b64encode(state.login.encode()).decode():
            self._send(401, [("WWW-Authenticate", 'Basic realm="git"')], b"")
        else:
            self._backend(body)

    def _backend(self, body: bytes) -> None:
        path, _, query = self.path.partition("?")
        environ = {
            **ENVIRON,
            "GIT_PROJECT_ROOT": str(self.server_state.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REQUEST_METHOD": self.command,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "CONTENT_LENGTH": str(len(body)),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "REMOTE_USER": "kim",
        }
        if self.headers.get("Git-Protocol"):
            environ["GIT_PROTOCOL"] = self.headers["Git-Protocol"]
        done = subprocess.run(
            ["git", "http-backend"], input=body, capture_output=True, env=environ, check=False
        )
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = [line.partition(": ")[::2] for line in head.decode().split("\r\n")]
        status = next((int(value[:3]) for name, value in headers if name == "Status"), 200)
        self._send(status, [each for each in headers if each[0] != "Status"], content)

    def _send(self, status: int, headers: list[tuple[str, str]], content: bytes) -> None:
        state = self.server_state
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if 0 <= state.cut_after < len(content):
            self.wfile.write(content[: state.cut_after])
            self.wfile.flush()
            self.close_connection = True
            return
        self.wfile.write(content)
        state.sent_bytes += len(content)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""
