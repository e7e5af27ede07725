"""`deploy.sh`: it waits until a version is well, and goes back to the one before when it is not.

The engines it drives elsewhere cannot run here. What decides is the same for all of them: here
a version is a plain process, a real gateway.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from zscrape.config import parse_token
from zscrape.ops import health

SCRIPT = Path(__file__).parents[2] / "configs" / "deploy.sh"

# Starts version $1 in place of what runs: 2 cannot be started, 4 is started and never comes up.
STARTER = """#!/bin/sh
cd {folder}
if [ -f pid ]; then kill -9 "$(cat pid)"; rm pid; fi
echo "$1" >>started
[ "$1" != 2 ] || exit 1
[ "$1" != 4 ] || exit 0
{program} >log 2>&1 </dev/null &
echo $! >pid
"""
GATEWAY = "{zscrape} gateway --home home --http 127.0.0.1:{port} --link tcp://127.0.0.1:0"
# Answers /ready as well, in a tenth of the time: what is asked is the same.
PLAIN = "{python} -m http.server --bind 127.0.0.1 --directory site {port}"


class Deployment:
    """A folder in which versions are started."""

    def __init__(self, folder: Path, port: int, program: str) -> None:
        self.folder = folder
        (folder / "site").mkdir()
        (folder / "site" / "ready").write_text('{"status": "ready"}', encoding="utf-8")
        self.url = f"http://127.0.0.1:{port}"
        self._starter = folder / "start"
        zscrape = Path(sys.executable).with_name("zscrape")
        words = program.format(port=port, zscrape=zscrape, python=sys.executable)
        text = STARTER.format(folder=folder, program=words)
        self._starter.write_text(text, encoding="utf-8")
        self._starter.chmod(0o755)

    def run(
        self, *arguments: str, version: str = "1", limit: str = "60", **environ: str
    ) -> subprocess.CompletedProcess[str]:
        """Run the script."""
        given = {
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "HOME": str(self.folder),
            "ZSCRAPE_TARGET": "process",
            "ZSCRAPE_START": str(self._starter),
            "ZSCRAPE_VERSION": version,
            "ZSCRAPE_HEALTH_URL": self.url,
            "ZSCRAPE_HEALTH_LIMIT": limit,
            "ZSCRAPE_STATE": str(self.folder / "state"),
            "ZSCRAPE_SECRETS": str(self.folder / "secrets"),
            **environ,
        }
        return subprocess.run(
            ["bash", SCRIPT, *arguments], check=False, capture_output=True, text=True, env=given
        )

    @property
    def started(self) -> list[str]:
        """The versions that were started, in their order."""
        return (self.folder / "started").read_text("utf-8").split()

    @property
    def state(self) -> list[str]:
        """What it remembers: the version that is well, and the one before."""
        return (self.folder / "state").read_text("utf-8").splitlines()

    def is_well(self) -> bool:
        """True iff a version answers."""
        parts = health.examine(home=None, url=self.url, is_ready=True, lang="en", environ={})
        return parts[0].is_well

    def close(self) -> None:
        """End what runs."""
        pid = self.folder / "pid"
        if pid.exists() and psutil.pid_exists(number := int(pid.read_text("ascii"))):
            os.kill(number, signal.SIGKILL)


@pytest.fixture(params=[PLAIN], ids=["plain"])
def deployment(
    tmp_path: Path, free_port: int, request: pytest.FixtureRequest
) -> Iterator[Deployment]:
    """A place to deploy to."""
    made = Deployment(tmp_path, free_port, request.param)
    yield made
    made.close()


@pytest.mark.parametrize("deployment", [GATEWAY], indirect=True, ids=["gateway"])
def test_a_version_that_does_not_come_up_is_rolled_back(deployment: Deployment) -> None:
    """What ran before runs again, is well, and is what is remembered; the exit code says so."""
    first = deployment.run("production", version="1")
    broken = deployment.run("production", version="2")

    assert (first.returncode, broken.returncode) == (0, 2), broken.stderr
    assert deployment.started == ["1", "2", "1"]
    assert deployment.state == ["1", ""]
    assert "rolling back to version 1" in broken.stderr
    assert deployment.is_well()


def test_rollback_by_hand_goes_to_the_version_before(deployment: Deployment) -> None:
    """Two versions are remembered, and `rollback` changes their places."""
    deployment.run("staging", version="1")
    deployment.run("staging", version="3")
    before = deployment.state
    back = deployment.run("staging", "rollback")
    checked = deployment.run("staging", "check")

    assert before == ["3", "1"]
    assert (back.returncode, checked.returncode) == (0, 0), back.stderr
    assert deployment.state == ["1", "3"]
    assert deployment.started == ["1", "3", "1"]


def test_first_version_that_does_not_come_up(deployment: Deployment) -> None:
    """There is nothing to go back to: it says so, and nothing is remembered."""
    done = deployment.run("production", version="4", limit="2")

    assert done.returncode == 1
    assert "nothing ran before" in done.stderr
    assert not (deployment.folder / "state").exists()


def test_secrets_are_made_once(deployment: Deployment) -> None:
    """`prepare` makes all that compose.yaml names, and leaves what is there."""
    addresses = "tcp://gateway:5555,tcp://gateway-2:5555"
    first = deployment.run("development", "prepare", ZSCRAPE_JOIN_ADDRESSES=addresses)
    folder = deployment.folder / "secrets"
    made = {path.name: path.read_text("utf-8") for path in folder.iterdir()}
    again = deployment.run("development", "prepare", ZSCRAPE_JOIN_ADDRESSES=addresses)

    assert (first.returncode, again.returncode) == (0, 0), first.stderr
    assert made.keys() == {
        *("api_key", "database_url", "grafana_password", "join_token", "link_secret"),
        *("postgres_password", "s3_secret_key"),
    }
    assert made == {path.name: path.read_text("utf-8") for path in folder.iterdir()}
    assert made["postgres_password"].strip() in made["database_url"]


@pytest.mark.parametrize("arguments", [(), ("moon",), ("staging", "fly")], ids=str)
def test_wrong_usage_is_told(deployment: Deployment, arguments: tuple[str, ...]) -> None:
    """An environment or a verb that is none shows how it is used, with exit code 3."""
    done = deployment.run(*arguments)

    assert done.returncode == 3
    assert "deploy.sh ENVIRONMENT" in done.stderr


def test_production_names_its_version(deployment: Deployment) -> None:
    """`latest` is no version that one could go back to."""
    done = deployment.run("production", version="")

    assert done.returncode == 3
    assert "ZSCRAPE_VERSION" in done.stderr
    assert not (deployment.folder / "started").exists()


@pytest.mark.system
def test_script_is_clean() -> None:
    """`shellcheck` finds nothing to say about it."""
    if shutil.which("shellcheck") is None:
        pytest.skip("needs the Debian package shellcheck")

    done = subprocess.run(["shellcheck", SCRIPT], check=False, capture_output=True, text=True)

    assert done.returncode == 0, done.stdout


def test_settings_of_compose_are_those_of_the_secrets(tmp_path: Path) -> None:
    """What `configs/.env` says of addresses and folders holds for the secrets that are made."""
    script = tmp_path / "deploy.sh"
    shutil.copy(SCRIPT, script)
    (tmp_path / ".env").write_text(
        "ZSCRAPE_JOIN_ADDRESSES=tcp://one:5555,tcp://two:5555\nZSCRAPE_SECRETS=./kept\n", "utf-8"
    )
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"

    done = subprocess.run(
        ["bash", script, "development", "prepare"],
        env={"PATH": path, "HOME": str(tmp_path)},
        check=False,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stderr
    token = parse_token((tmp_path / "kept" / "join_token").read_text("utf-8").strip())
    assert token.addresses == ("tcp://one:5555", "tcp://two:5555")
