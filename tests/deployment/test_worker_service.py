"""`worker install`: the files that it writes, and a worker run by exactly what they say."""

from __future__ import annotations

import getpass
import json
import plistlib
import shlex
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.conftest import Zscrape, clean_environ, write_script, zscrape
from tests.link_keys import home_token
from zscrape.client import Client, find_gateway
from zscrape.config import JoinToken, load
from zscrape.ops.role import Role
from zscrape.ops.units import quoted

__all__ = ["zscrape"]  # a fixture

JOIN = "tcp://127.0.0.1:5555"


def exec_start(unit: str) -> list[str]:
    """Return the command of a unit, read as systemd reads it."""
    (line,) = [line for line in unit.splitlines() if line.startswith("ExecStart=")]
    words = shlex.split(line.removeprefix("ExecStart="))
    return [word.replace("%%", "%").replace("$$", "$") for word in words]


@pytest.fixture
def user_units(zscrape: Zscrape, tmp_path: Path) -> Path:
    """Where units of this user go: a folder of this test."""
    zscrape.environ["XDG_CONFIG_HOME"] = str(tmp_path / "config")
    return tmp_path / "config" / "systemd" / "user"


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Path]:
    """A running gateway with one script; its home."""
    home = tmp_path / "gateway"
    write_script(tmp_path / "scripts", "hello", "def run(name='you'):\n    return f'hi {name}'\n")
    listen = ["--http", "127.0.0.1:0", "--link", "tcp://127.0.0.1:0"]
    arguments = ["--home", str(home), *listen, "--scripts", str(tmp_path / "scripts")]
    role = Role("gateway", arguments, environ=clean_environ())
    try:
        role.wait_ready()
        yield home
    finally:
        role.stop()


def test_installed_command_joins_and_does_a_task(
    zscrape: Zscrape, user_units: Path, gateway: Path, tmp_path: Path
) -> None:
    """What the unit starts, in an empty environment, joins by the kept token and runs a task."""
    home, token = tmp_path / "w %h $x" / "home", home_token(gateway)
    written = ["--user", "--home", home, "--slots", "1", "--tag", "spare", "--init", "systemd"]
    told = zscrape.json("worker", "install", "--join", token, *written)
    unit = (user_units / "zscrape-worker.service").read_text("utf-8")
    settings = home / "zscrape-worker.toml"

    process = subprocess.Popen(
        [*exec_start(unit), "--json"], env={}, cwd="/", stdout=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout is not None
        ready = json.loads(process.stdout.readline())
        with Client(find_gateway(home=gateway, environ={})) as client:
            envelope = client.run("hello", {"name": "spare"}, timeout=30)
            (worker,) = client.workers()["workers"]
    finally:
        process.terminate()
        code = process.wait(30)
        process.stdout.close()  # type: ignore[union-attr]

    assert (envelope["data"], code) == ("hi spare", 0)
    assert ready["worker_id"] == envelope["worker_id"] == worker["id"]
    assert (worker["slots"], worker["tags"]) == (1, ["spare"])
    assert stat.S_IMODE(settings.stat().st_mode) == 0o600
    assert token not in unit
    assert token not in json.dumps(told)


def test_what_was_set_is_kept_whole(zscrape: Zscrape, user_units: Path, tmp_path: Path) -> None:
    """Settings from flags, environment and file are those of the service, repositories as well."""
    file = tmp_path / "z.toml"
    file.write_text(
        'lang = "ko"\n[gateway]\nhttp = "127.0.0.1:1"\n[worker]\nslots = 3\n[isolation]\n'
        'skip = ["user"]\n[[repositories]]\ntype = "git"\nname = "a"\nurl = "https://e.com/r.git"\n'
        'token = "tk-\\"1"\nredirect_allow = ["10.0.0.0/8"]\n'
    )
    zscrape.environ["ZSCRAPE_TAGS"] = "kr,fast"
    arguments = ["--user", "--config", file, "--network", "none", "--join", JOIN]
    zscrape.json("worker", "install", *arguments, "--init", "systemd")

    kept = load(environ={}, file=Path(str(zscrape.environ["ZSCRAPE_HOME"])) / "zscrape-worker.toml")

    assert (kept.lang, kept.worker.slots, kept.worker.tags) == ("ko", 3, ("kr", "fast"))
    assert (kept.worker.network, kept.worker.join) == ("none", JOIN)
    assert kept.isolation.skip == ("user",)
    assert kept.gateway.http == "127.0.0.1:8000"
    (repository,) = kept.repositories
    assert (repository.type, repository.token) == ("git", 'tk-"1')
    assert repository.redirect_allow == ("10.0.0.0/8",)


SHARED = (
    *("Type", "NotifyAccess", "TimeoutStartSec", "WatchdogSec", "Restart", "RestartSec"),
    *("RestartPreventExitStatus", "KillMode", "TimeoutStopSec", "OOMPolicy", "UMask"),
    *("LimitNOFILE", "LimitCORE", "TasksMax", "StartLimitIntervalSec", "StartLimitBurst"),
)


def test_written_unit_lives_as_the_shipped_one_does(zscrape: Zscrape) -> None:
    """How a worker is started, watched and stopped is the same in both units, as root too."""
    folder = Path(__file__).parents[2] / "configs/systemd"
    shipped = (folder / "zscrape-worker.service").read_text()
    as_root = (folder / "zscrape-worker-root.conf").read_text()
    arguments = ("--join", JOIN, "--system", "--dry-run", "--init", "systemd")
    written = zscrape.json("worker", "install", *arguments)["unit_text"]

    def told(unit: str) -> dict[str, str]:
        pairs = (line.partition("=") for line in unit.splitlines() if "=" in line)
        return {name: value for name, _, value in pairs if name in SHARED}

    assert set(told(written)) == set(SHARED)
    assert told(written) == {**told(shipped), **told(as_root)}


def test_dry_run_writes_nothing_and_hides_the_token(zscrape: Zscrape, user_units: Path) -> None:
    """`--dry-run` shows both files and the commands; the token is masked."""
    token = JoinToken.of((JOIN,), (bytes(32),), bytes(range(32))).text()
    result = zscrape("worker", "install", "--join", token, "--user", "--dry-run")

    assert result.exit_code == 0
    assert "[Service]" in result.stdout
    assert "systemctl --user restart zscrape-worker.service" in result.stdout
    assert f"loginctl enable-linger {getpass.getuser()}" in result.stdout
    assert token not in result.output
    assert not user_units.exists()


def test_way_to_the_network_is_kept_apart(zscrape: Zscrape, user_units: Path) -> None:
    """A service inherits nothing, so proxies of this shell go along, in a file of their own."""
    home = Path(str(zscrape.environ["ZSCRAPE_HOME"]))
    zscrape.environ |= {"HTTPS_PROXY": 'http://me:pass"$%word@proxy:3128', "NO_PROXY": None}
    told = zscrape.json("worker", "install", "--join", JOIN, "--user", "--init", "systemd")
    unit = (user_units / "zscrape-worker.service").read_text()
    file = home / "zscrape-worker.env"

    assert "HTTPS_PROXY" in told["variables"]
    assert f"\nEnvironmentFile={file}\n" in unit
    assert "proxy:3128" not in unit + json.dumps(told)
    assert 'HTTPS_PROXY="http://me:pass\\"$%word@proxy:3128"\n' in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_uninstall_leaves_the_home(zscrape: Zscrape, user_units: Path) -> None:
    """What `install` wrote is gone again, the rest of the home is not; twice is no fault."""
    home = Path(str(zscrape.environ["ZSCRAPE_HOME"]))
    zscrape("worker", "install", "--join", JOIN, "--user", "--name", "second")
    kept = home / "workers" / "1.id"
    kept.parent.mkdir()
    kept.write_text("w-1")

    first = zscrape.json("worker", "uninstall", "--user", "--name", "second")
    again = zscrape.json("worker", "uninstall", "--user", "--name", "second")

    assert (first["was_there"], again["was_there"]) == (True, False)
    assert [each for each in home.rglob("*") if each.is_file()] == [kept]
    assert not (user_units / "second.service").exists()


def test_unit_of_somebody_else_is_left_alone(zscrape: Zscrape, user_units: Path) -> None:
    """A unit that we have not written is neither replaced nor removed."""
    user_units.mkdir(parents=True)
    unit = user_units / "zscrape-worker.service"
    unit.write_text("[Service]\nExecStart=/bin/true\n")

    installed = zscrape("worker", "install", "--join", JOIN, "--user")
    removed = zscrape("worker", "uninstall", "--user")

    assert (installed.exit_code, removed.exit_code) == (3, 3)
    assert "--name" in installed.stderr
    assert unit.read_text() == "[Service]\nExecStart=/bin/true\n"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["worker", "install"], "zscrape token create"),
        (["worker", "install", "--join", "nonsense"], "--join"),
        (["worker", "install", "--join", JOIN, "--name", "../x"], "--name"),
        (["worker", "--slots", "2", "install", "--join", JOIN], "--slots stands before install"),
        (["worker", "instal"], "Did you mean install?"),
    ],
)
def test_refusal_says_what_to_do(
    zscrape: Zscrape, user_units: Path, arguments: list[str], told: str
) -> None:
    """Bad input ends with 3 and the next step, and writes nothing."""
    result = zscrape(*arguments)

    assert result.exit_code == 3
    assert told in result.stderr
    assert not user_units.exists()


def test_property_list_of_launchd_says_the_same(zscrape: Zscrape) -> None:
    """On macOS the same command stands in a property list."""
    told = zscrape.json(
        *("worker", "install", "--join", JOIN, "--init", "launchd", "--user", "--dry-run")
    )

    content = plistlib.loads(told["unit_text"].encode())
    assert content["ProgramArguments"][1:3] == ["worker", "--home"]
    assert content["RunAtLoad"] is True
    assert content["KeepAlive"] == {"SuccessfulExit": False}
    assert told["unit"].endswith("Library/LaunchAgents/zscrape-worker.plist")


@pytest.mark.parametrize("kind", ["--user", "--system"])
@pytest.mark.system
def test_systemd_takes_the_unit(zscrape: Zscrape, tmp_path: Path, kind: str) -> None:
    """`systemd-analyze verify` has nothing to say about the unit."""
    if shutil.which("systemd-analyze") is None:
        pytest.skip("needs the Debian package systemd")
    told = zscrape.json("worker", "install", "--join", JOIN, kind, "--dry-run", "--init", "systemd")
    unit = tmp_path / "zscrape-worker.service"
    unit.write_text(told["unit_text"])

    checked = subprocess.run(
        ["systemd-analyze", *(["--user"] if kind == "--user" else []), "verify", str(unit)],
        capture_output=True,
        text=True,
        check=False,
        env={"XDG_RUNTIME_DIR": str(tmp_path), "SYSTEMD_LOG_LEVEL": "warning"},
    )

    # It loads the machine's own units, too, and may complain about those.
    assert [line for line in checked.stderr.splitlines() if "zscrape" in line] == []


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("/usr/bin/x", "/usr/bin/x"),
        ("a b", '"a b"'),
        ("50%", '"50%%"'),
        ("$HOME", '"$$HOME"'),
        ('q"\\', '"q\\"\\\\"'),
        ("", '""'),
    ],
)
def test_words_are_quoted_as_systemd_wants(word: str, told: str) -> None:
    """Nothing in a path means anything to systemd."""
    assert quoted(word) == told
