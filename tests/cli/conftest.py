"""A real cluster for the command line: a gateway and a worker as processes, and some scripts."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from click.testing import CliRunner, Result

from zscrape.cli import main
from zscrape.ops.role import Role
from zscrape.ops.site import Site

STEPS = """
import time


def run(count: int = 3, pause_s: float = 0.0, fail: bool = False, *, ctx):
    print("printed line")
    for number in range(1, count + 1):
        ctx.log.info("step done", number=number)
        ctx.progress(number / count, f"step {number}")
        yield {"number": number, "text": "한글"}
        time.sleep(pause_s)
    if fail:
        raise ValueError("it failed \\x1b[31m")
"""
KEPT = """
def run(name: str = "a.txt", zip: str = "", *, ctx):
    ctx.save(name, "content of " + name)
    return {"name": name, "zip": zip}
"""
BIG = """
def run(*, ctx):
    return "x" * 2_000_000
"""
ASKING = """
def run(*, ctx):
    fields = {"code": {"title": "Code"}, "count": {"type": "integer"}}
    picture = b"\\x89PNG\\r\\n\\x1a\\n"
    return ctx.ask("Which code?", image=picture, fields=fields)
"""
BROKEN = """
def run(url: str, token: str = "", *, ctx):
    page = ctx.http.get(url, check=False)
    raise ValueError("no price on " + page.css("title").text)
"""
FLAKY = """
import time


def run(good_at: int = 1, after: float = 0.0, *, ctx):
    if ctx.attempt < good_at or time.time() < after:
        raise ValueError("not yet")
"""


def write_script(folder: Path, name: str, source: str, **manifest: Any) -> Path:
    """Make a script's folder."""
    path = folder / name
    path.mkdir(parents=True)
    (path / "main.py").write_text(source, encoding="utf-8")
    content = {"name": name, "version": "1.0.0", "kit": [], **manifest}
    (path / "metadata.json").write_text(json.dumps(content), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def scripts_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository of small scripts."""
    folder = tmp_path_factory.mktemp("scripts")
    write_script(folder, "steps", STEPS, description="Counts")
    write_script(folder, "kept", KEPT)
    write_script(folder, "big", BIG)
    write_script(folder, "asks", ASKING)
    write_script(folder, "broken", BROKEN, kit=["http"], network="any")
    retry = {"max": 2, "backoff": [0.01], "on": ["script_error"]}
    write_script(folder, "flaky", FLAKY, retry=retry)
    write_script(folder, "picky", STEPS, requires=["moon"])
    return folder


class Cluster(NamedTuple):
    """A running gateway with one worker."""

    home: Path
    http: str
    link: str
    worker_id: str


def clean_environ(**more: str) -> dict[str, str]:
    """Return this process's environment without what would lead elsewhere."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("ZSCRAPE_", "SCRIPT_"))
    }
    return {**kept, "LANG": "C.UTF-8", **more}


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory, scripts_folder: Path) -> Iterator[Cluster]:
    """A gateway and a worker with two slots, as processes of their own."""
    home = tmp_path_factory.mktemp("home")
    listen = ["--http", "127.0.0.1:0", "--link", "tcp://127.0.0.1:0"]
    gateway = Role(
        "gateway",
        ["--home", str(home), *listen, "--scripts", str(scripts_folder)],
        environ=clean_environ(),
    )
    try:
        ready = gateway.wait_ready()
        worker = Role(
            "worker",
            ["--home", str(home), "--join", ready["link"], "--slots", "2", "--tag", "test"],
            environ=clean_environ(ZSCRAPE_NETWORK_ALLOW="127.0.0.0/8"),
        )
        try:
            yield Cluster(home, ready["http"], ready["link"], worker.wait_ready()["worker_id"])
        finally:
            worker.stop()
    finally:
        gateway.stop()


class Zscrape:
    """The command line in this process, with an environment of its own."""

    def __init__(self, environ: dict[str, str | None]) -> None:
        self.environ = environ

    def __call__(self, *arguments: object, stdin: str | None = None) -> Result:
        """Run `zscrape` with these arguments."""
        runner = CliRunner(env=self.environ)
        return runner.invoke(main, [str(each) for each in arguments], input=stdin)

    def json(self, *arguments: object, code: int = 0) -> Any:
        """Run with `--json`; standard output must be one JSON document."""
        result = self(*arguments, "--json")
        assert result.exit_code == code, result.output
        return json.loads(result.stdout)


@pytest.fixture
def zscrape(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Zscrape:
    """The command line, with an empty home and an empty working folder."""
    monkeypatch.chdir(tmp_path)
    for name in os.environ:
        if name.startswith(("ZSCRAPE_", "SCRIPT_", "LC_")):
            monkeypatch.delenv(name)
    environ = {"ZSCRAPE_HOME": str(tmp_path / "home"), "LANG": "C.UTF-8", "HOME": str(tmp_path)}
    environ["ZSCRAPE_NETWORK_ALLOW"] = "127.0.0.0/8"  # the sites of tests are here
    return Zscrape(dict(environ))


@pytest.fixture
def on_cluster(zscrape: Zscrape, cluster: Cluster) -> Zscrape:
    """The command line on the gateway's own machine: its home says where it is."""
    zscrape.environ["ZSCRAPE_HOME"] = str(cluster.home)
    return zscrape


@pytest.fixture(scope="session")
def site_url() -> Iterator[str]:
    """The address of the bundled site."""
    with Site() as site:
        yield site.url
