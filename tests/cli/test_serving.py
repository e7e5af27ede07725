"""`gateway`, `worker`, `up`: how they start, what they say, how they end."""

from __future__ import annotations

import json
import mmap
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.cli.conftest import Cluster, Zscrape, clean_environ
from tests.link_keys import home_token
from zscrape.client import Client, find_gateway

LISTEN = ["--http", "127.0.0.1:0", "--link", "tcp://127.0.0.1:0"]


class Serving:
    """A serving verb as a process; its first JSON line has been read."""

    def __init__(self, *arguments: str, **environ: str) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-m", "zscrape", *arguments, "--json"],
            env=clean_environ(**environ),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self.process.stdout is not None
        self.ready: dict[str, Any] = json.loads(self.process.stdout.readline())

    def family(self) -> list[psutil.Process]:
        """Return the process and everything it started."""
        process = psutil.Process(self.process.pid)
        return [process, *process.children(recursive=True)]

    def end(self, number: int = signal.SIGTERM) -> tuple[int, str, str]:
        """End it and return its exit code, the rest of its output and its log."""
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=30)
        return self.process.returncode, out, err

    def close(self) -> None:
        """Leave nothing behind, whatever the test did."""
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.process.stderr):
            if stream is not None:
                stream.close()


@pytest.fixture
def serve() -> Iterator[Any]:
    """Start a serving verb; it is ended with the test."""
    started: list[Serving] = []

    def start(*arguments: str, **environ: str) -> Serving:
        serving = Serving(*arguments, **environ)
        started.append(serving)
        return serving

    yield start
    for serving in started:
        serving.close()


def await_gone(processes: list[psutil.Process]) -> None:
    """Wait until all of them have ended."""
    _, alive = psutil.wait_procs(processes, timeout=30)
    assert alive == []


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_up_is_a_whole_cluster(
    serve: Any, tmp_path: Path, scripts_folder: Path, number: int
) -> None:
    """`up` is ready with one line, runs a script, and ends with everything it started."""
    home = tmp_path / "home"
    up = serve("up", *LISTEN, "--home", str(home), "--scripts", str(scripts_folder), "--slots", "1")
    with Client(find_gateway(home=home, environ={})) as client:
        envelope = client.run("steps", timeout=30)
        worker = client.workers()["workers"][0]
    family = up.family()

    code, out, err = up.end(number)

    assert up.ready["event"] == "ready"
    assert up.ready["http"].startswith("http://127.0.0.1:")
    assert up.ready["link"].startswith("tcp://127.0.0.1:")
    assert envelope["status"] == "completed"
    assert worker["slots"] == 1
    assert (code, out) == (0, "")
    assert {json.loads(line)["event"] for line in err.splitlines()} >= {"gateway_ready"}
    assert len(family) > 2
    await_gone(family)


def test_up_alone_has_the_samples_at_hand(serve: Any, tmp_path: Path) -> None:
    """Nobody who has just begun is shown an empty list; a script of one's own comes first."""
    home = tmp_path / "home"
    own = home / "scripts" / "page_text"
    own.mkdir(parents=True)
    (own / "metadata.json").write_text('{"name": "page_text", "version": "9.0.0", "kit": []}')
    (own / "main.py").write_text("def run():\n    return 'mine'\n")
    up = serve("up", *LISTEN, "--home", str(home), "--slots", "1")
    with Client(find_gateway(home=home, environ={})) as client:
        sample = client.run("noop", {"hello": "world"}, timeout=30)
        mine = client.run("page_text", timeout=30)
    up.end(signal.SIGTERM)

    assert (sample["status"], sample["data"]) == ("completed", {"hello": "world"})
    assert (mine["version"], mine["data"]) == ("9.0.0", "mine")


def test_up_killed_takes_its_worker_along(serve: Any, tmp_path: Path, scripts_folder: Path) -> None:
    """`kill -9` of `up` leaves no worker behind: its lifeline is cut."""
    home = tmp_path / "home"
    up = serve("up", *LISTEN, "--home", str(home), "--scripts", str(scripts_folder), "--slots", "1")
    with Client(find_gateway(home=home, environ={})) as client:
        client.run("steps", timeout=30)
    family = up.family()

    up.process.kill()

    await_gone(family)


def test_up_keeps_its_key_from_its_worker(serve: Any, tmp_path: Path) -> None:
    """The worker is forked from it, before the key is made: nothing in its memory has it."""
    home = tmp_path / "home"
    up = serve("up", *LISTEN, "--home", str(home), "--slots", "1")
    key = find_gateway(home=home, environ={}).key.encode()
    worker = next(each for each in up.family() if "worker" in each.cmdline())

    assert any(key in part for part in _memory(up.process.pid))
    assert not any(key in part for part in _memory(worker.pid))


def _memory(pid: int) -> Iterator[bytes]:
    """Yield what a process may write to and has."""
    with Path(f"/proc/{pid}/mem").open("rb", buffering=0) as memory:
        for line in Path(f"/proc/{pid}/maps").read_text().splitlines():
            place, rights, *_ = line.split()
            start, end = (int(each, 16) for each in place.split("-"))
            while rights.startswith("rw") and start < end:
                memory.seek(start)
                try:
                    part = memory.read(end - start)
                except OSError:  # a guard page: since 2.42 glibc has them inside of its stacks
                    part = b""
                yield part
                start += len(part) or mmap.PAGESIZE


def test_up_ends_when_its_worker_does(serve: Any, tmp_path: Path, scripts_folder: Path) -> None:
    """A gateway whose only worker has died does not pretend to work: `up` ends with 1."""
    home = tmp_path / "home"
    up = serve("up", *LISTEN, "--home", str(home), "--scripts", str(scripts_folder), "--slots", "1")
    with Client(find_gateway(home=home, environ={})) as client:
        client.run("steps", timeout=30)
    worker = next(each for each in up.family() if "worker" in each.cmdline())

    worker.kill()

    out, _ = up.process.communicate(timeout=30)
    assert up.process.returncode == 1
    assert json.loads(out)["error"]["code"] == "role_failed"


def test_gateway_makes_its_scripts_folder_and_key(serve: Any, tmp_path: Path) -> None:
    """The first start makes the home: a private key file and a place for scripts."""
    home = tmp_path / "home"
    gateway = serve("gateway", *LISTEN, "--home", str(home))

    code, _, _ = gateway.end()

    assert code == 0
    assert (home / "scripts").is_dir()
    assert (home / "client.toml").stat().st_mode & 0o777 == 0o600


def test_key_never_appears_in_the_log(serve: Any, tmp_path: Path) -> None:
    """An adopted key is used, and told to nobody."""
    gateway = serve(
        "gateway", *LISTEN, "--home", str(tmp_path), "--verbose", ZSCRAPE_API_KEY="secret-0123456"
    )
    with Client(find_gateway(home=tmp_path, environ={})) as client:
        client.tasks()

    _, out, err = gateway.end()

    assert "secret-0123456" not in out + err


def test_log_speaks_the_file_s_language(serve: Any, tmp_path: Path) -> None:
    """The language of the settings file is that of the log; `--lang` is stronger."""
    path = tmp_path / "z.toml"
    path.write_text('lang = "ko"\n', encoding="utf-8")
    arguments = ["gateway", *LISTEN, "--home", str(tmp_path), "--config", str(path)]

    _, _, by_file = serve(*arguments).end()
    _, _, by_flag = serve(*arguments, "--lang", "en").end()

    assert "게이트웨이" in json.loads(by_file.splitlines()[0])["message"]
    assert "gateway" in json.loads(by_flag.splitlines()[0])["message"]


def test_tied_gateway_ends_with_its_standard_input(serve: Any, tmp_path: Path) -> None:
    """A role ends when its parent has gone."""
    gateway = serve("gateway", "--tied", *LISTEN, "--home", str(tmp_path))

    gateway.process.stdin.close()

    assert gateway.process.wait(timeout=30) == 0


def test_worker_joins_and_leaves(serve: Any, cluster: Cluster, tmp_path: Path) -> None:
    """A second worker says who it is, is listed, and is gone after SIGTERM."""
    token = home_token(cluster.home)
    worker = serve("worker", "--join", token, "--home", str(tmp_path), "--slots", "1")
    with Client(find_gateway(home=cluster.home, environ={})) as client:
        ids = [each["id"] for each in client.workers()["workers"]]

    code, _, _ = worker.end()

    assert worker.ready["worker_id"] in ids
    assert worker.ready["slots"] == 1
    assert code == 0


# ---- refusals ------------------------------------------------------------------------


@pytest.mark.parametrize("verb", ["gateway", "up"])
def test_open_bind_is_refused(zscrape: Zscrape, verb: str) -> None:
    """Answering HTTP beyond this machine needs `--insecure`, and the error says so."""
    result = zscrape(verb, "--http", "0.0.0.0:0")

    assert result.exit_code == 3
    assert "--insecure" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["worker", "--join", "nonsense"], "--join"),
        (["worker", "--slots", "0"], "--slots"),
        (["gateway", "--http", "8000"], "--http"),
        (["gateway", "--config", "none.toml"], "none.toml"),
    ],
)
def test_setting_that_cannot_be_used_is_3(
    zscrape: Zscrape, arguments: list[str], told: str
) -> None:
    """A bad flag is told by its name."""
    result = zscrape(*arguments)

    assert result.exit_code == 3
    assert told in result.stderr


def test_address_in_use_is_3(tmp_path: Path) -> None:
    """A port that is taken is told, with the next step."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        arguments = ["--http", address, "--link", "tcp://127.0.0.1:0", "--home", str(tmp_path)]
        ended = subprocess.run(
            [sys.executable, "-m", "zscrape", "gateway", *arguments],
            capture_output=True,
            text=True,
            env=clean_environ(),
            check=False,
        )

    assert ended.returncode == 3
    assert ended.stderr.startswith("error:")
    assert address in ended.stderr


@pytest.mark.parametrize("verb", ["gateway", "worker"])
@pytest.mark.parametrize("place", ["--home", "SCRIPT_CACHE_DIR"])
def test_folder_that_cannot_be_made_is_3(tmp_path: Path, verb: str, place: str) -> None:
    """A home or a cache folder below a file is told by its path and by what chooses another."""
    blocker = tmp_path / "file"
    blocker.write_text("", encoding="utf-8")
    home, cache = tmp_path / "home", tmp_path / "cache"
    if place == "--home":
        home = blocker / "home"
    else:
        cache = blocker / "cache"
    arguments = LISTEN if verb == "gateway" else ["--join", "tcp://127.0.0.1:1"]

    ended = start(verb, *arguments, "--home", str(home), SCRIPT_CACHE_DIR=str(cache))

    assert ended.returncode == 3
    assert str(blocker) in ended.stderr
    assert place in ended.stderr
    assert "Traceback" not in ended.stderr


def test_client_file_that_cannot_be_written_is_3(tmp_path: Path) -> None:
    """A gateway that cannot leave its key for its clients says so, and has left nothing open."""
    (tmp_path / "client.toml").mkdir()

    ended = start("gateway", *LISTEN, "--home", str(tmp_path), ZSCRAPE_API_KEY="secret-0123456")

    assert ended.returncode == 3
    assert str(tmp_path / "client.toml") in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize("content", [b"\xff\xfe\x00", b"../../x\n", b"a" * 100])
def test_identity_that_is_none_is_3(tmp_path: Path, content: bytes) -> None:
    """A worker whose kept id is no id says which file to remove."""
    path = tmp_path / "workers" / "1.id"
    path.parent.mkdir()
    path.write_bytes(content)

    ended = start("worker", "--join", "tcp://127.0.0.1:1", "--home", str(tmp_path))

    assert ended.returncode == 3
    assert str(path) in ended.stderr
    assert "Traceback" not in ended.stderr


def start(*arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run a serving verb that is to end by itself."""
    return subprocess.run(
        [sys.executable, "-m", "zscrape", *arguments],
        capture_output=True,
        text=True,
        env=clean_environ(**environ),
        check=False,
        timeout=30,
    )


def test_strict_mode_without_a_trusted_key_does_not_start(zscrape: Zscrape) -> None:
    """A gateway that could run nothing says which setting is missing, and ends."""
    zscrape.environ["ZSCRAPE_REQUIRE_SIGNATURE"] = "true"

    result = zscrape("gateway", *LISTEN)

    assert result.exit_code == 3
    assert "trusted_keys" in result.stderr
