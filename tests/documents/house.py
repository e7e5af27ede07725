"""Where documents are tried: a folder, a home, a site, a gateway with a worker, and a shell."""

from __future__ import annotations

import json
import os
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx

from tests.browser import serving
from tests.e2e.cluster import Process
from zscrape.ops.site import Site

ROOT: Final = Path(__file__).parents[2]
# What makes a line more than one command with variables before it.
_SHELL: Final = re.compile(r"[|&;<>$`]")
_COMMENT: Final = re.compile(r"\s+#\s.*$")
_ASSIGNED: Final = re.compile(r"(?P<name>[A-Z_]+)=(?P<value>.*)")
_ROLES: Final = ("up", "gateway", "worker")
_ORDERS: Final = """<!doctype html><title>Orders</title><table class="orders">
<tr><th>No</th><th>What</th></tr><tr><td>17</td><td>Barley tea</td></tr></table>"""
TARGETS: Final = [
    {"url": "{site}/shop/barley-tea", "group": "kr", "id": "tea"},
    {"url": "{site}/shop/honey-cookies", "group": "us", "id": "cookies"},
]


@dataclass(frozen=True)
class Ran:
    """What became of a command."""

    code: int
    out: str
    error: str


class House:
    """Everything that snippets need, and what they have left for those after them."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._parts = ExitStack()
        self._roles: list[Process] = []
        self._web: httpx.Client | None = None
        with self._parts as parts:
            self.site: str = parts.enter_context(Site()).url
            pages = parts.enter_context(serving())
            pages.pages["/orders"] = _ORDERS
            self.orders = f"{pages.url}/orders"
            self.environ = {
                **{name: value for name, value in os.environ.items() if not _is_ours(name)},
                "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
                "ZSCRAPE_HOME": str(folder / "home"),
                "ZSCRAPE_HTTP": "127.0.0.1:0",
                "ZSCRAPE_LINK": "tcp://127.0.0.1:0",
                "ZSCRAPE_NETWORK_ALLOW": "127.0.0.0/8,::1/128",
            }
            self.words = {
                "https://example.com": self.site,
                "https://shop.example": self.site,
                "tcp://10.0.0.1:5555": "tcp://127.0.0.1:0",
                "tcp://0.0.0.0:5555": "tcp://127.0.0.1:0",
            }
            self._lay_out()
            self._forker = self._start_forker()
            parts.callback(self._end_forker)
            parts.callback(self._end_roles)
            self._parts = parts.pop_all()

    @property
    def web(self) -> httpx.Client:
        """The gateway, by HTTP."""
        return self.start()

    def start(self) -> httpx.Client:
        """Start the gateway once: by `zscrape up` of a document, or when it is first needed."""
        if self._web is None:
            self._start(["up"], {})
            client = tomllib.loads((self.folder / "home" / "client.toml").read_text())
            self.environ["KEY"] = client["key"]
            self._web = httpx.Client(
                base_url=client["url"],
                headers={"Authorization": f"Bearer {client['key']}"},
                timeout=60.0,
            )
            self._parts.callback(self._web.close)
            self.words["http://localhost:8000"] = client["url"]
            self.words["TASK_ID"] = self._failed_task(self._web)
        return self._web

    def close(self) -> None:
        """End everything."""
        self._parts.close()

    def _lay_out(self) -> None:
        (self.folder / "scripts_sample").symlink_to(ROOT / "scripts_sample")
        rows = [
            {name: value.format(site=self.site) for name, value in each.items()} for each in TARGETS
        ]
        lines = "".join(
            f"{json.dumps({'url': each['url'], 'group': each['group']})}\n" for each in rows
        )
        (self.folder / "targets.jsonl").write_text(lines)
        table = "".join(f"{each['id']},{each['url']}\n" for each in rows)
        (self.folder / "shops.csv").write_text(f"id,address\n{table}")
        cookie = "shop.example\tFALSE\t/\tFALSE\t4102444800\tvisited\tyes\n"
        (self.folder / "cookies.txt").write_text(f"# Netscape HTTP Cookie File\n{cookie}")

    def _failed_task(self, web: httpx.Client) -> str:
        body = {"script_name": "price_watch", "parameters": {"url": f"{self.site}/missing"}}
        told = web.post("/scrape", json=body).raise_for_status().json()
        task_id: str = told["request_id"]
        return task_id

    # ---- commands ----------------------------------------------------------------------

    def filled(self, text: str) -> str:
        """Return a text with this house's own in the place of what stands for a reader's."""
        for word, value in self.words.items():
            text = text.replace(word, value)
        return text

    def run(self, command: str) -> Ran:
        """Run a command as a reader would; a gateway or a worker is left running."""
        command = _COMMENT.sub("", command)
        if "zscrape" in command or "curl" in command:
            self.start()
        command = self.filled(command)
        words = [] if _SHELL.search(command) else shlex.split(command)
        environ = dict(self.environ)
        while words and (assigned := _ASSIGNED.fullmatch(words[0])):
            environ[assigned["name"]] = assigned["value"]
            words = words[1:]
        if words[:1] != ["zscrape"]:
            return self._by_shell(command)
        if words[1] in _ROLES and words[2:3] != ["install"]:
            return self._as_role(words[1:], environ)
        ran = self._by_fork(words[1:], environ)
        self._remember(words[1], ran)
        return ran

    def _by_shell(self, command: str) -> Ran:
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self.folder,
            env=self.environ,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return Ran(done.returncode, done.stdout, done.stderr)

    def _by_fork(self, arguments: list[str], environ: Mapping[str, str]) -> Ran:
        out, error = self.folder / ".out", self.folder / ".error"
        asked = {"arguments": arguments, "environ": environ, "folder": str(self.folder)}
        asked |= {"out": str(out), "error": str(error)}
        assert self._forker.stdin is not None
        assert self._forker.stdout is not None
        self._forker.stdin.write(f"{json.dumps(asked)}\n")
        self._forker.stdin.flush()
        code = int(self._forker.stdout.readline())
        return Ran(code, out.read_text(), error.read_text())

    def _remember(self, verb: str, ran: Ran) -> None:
        """Keep what a later command names: the run of a batch, the right to join."""
        run_id = re.search(r"\bRun (\d{8}T\d{6}Z-[0-9a-f]{4})\b", ran.error)
        token = re.search(r"--join (\S+)", ran.out)
        if run_id and verb == "batch":
            self.words["RUN_ID"] = run_id[1]
        if token:
            self.words["JOIN_TOKEN"] = token[1]

    # ---- processes that stay ---------------------------------------------------------------

    def _as_role(self, arguments: list[str], environ: dict[str, str]) -> Ran:
        if arguments == ["up"]:  # it has been started for all the others
            return Ran(0, self.web.get("/ready").text, "")
        home = self.folder / f"home-{len(self._roles)}"
        ready = self._start(arguments, {**environ, "ZSCRAPE_HOME": str(home)})
        if arguments[0] == "worker":
            self.words["WORKER_ID"] = ready["worker_id"]
        return Ran(0, json.dumps(ready), "")

    def _start(self, arguments: list[str], environ: Mapping[str, str]) -> dict[str, Any]:
        before = Path.cwd()
        os.chdir(self.folder)
        try:
            role = Process(*arguments, environ={**self.environ, **environ})
        finally:
            os.chdir(before)
        self._roles.append(role)
        return role.ready

    def _end_roles(self) -> None:
        for each in reversed(self._roles):
            each.end()

    def _start_forker(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, str(ROOT / "tests" / "documents" / "forker.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**self.environ, "PYTHONPATH": str(ROOT)},
            text=True,
        )

    def _end_forker(self) -> None:
        assert self._forker.stdin is not None
        assert self._forker.stdout is not None
        self._forker.stdin.close()
        self._forker.wait(20)
        self._forker.stdout.close()


def _is_ours(name: str) -> bool:
    return name.startswith(("ZSCRAPE_", "SCRIPT_"))
