"""A cluster whose secrets are files that were made before it started, and its health."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import msgspec
import pytest

from tests.cli.conftest import Zscrape, clean_environ
from tests.faults.services import SCRIPTS, Service, until
from zscrape.client import Client, find_gateway
from zscrape.config import SettingError, load, parse_token, unknown_environment
from zscrape.gateway.linkkeys import LinkKeys
from zscrape.gateway.sealing import derive_sealer, read_sealer
from zscrape.ops import health
from zscrape.ops.preparing import prepare
from zscrape.worker.pulse import Beat


def ask(zscrape_home: Path, *, is_ready: bool = False, url: str | None = None) -> list[health.Part]:
    """Look at what runs from a home folder."""
    return health.examine(home=zscrape_home, url=url, is_ready=is_ready, lang="en", environ={})


def write_beat(home: Path, at: float, *, joined_count: int = 1, pid: int = 0) -> None:
    """Leave a sign of life of a worker as if it came from then."""
    folder = home / "workers"
    folder.mkdir(parents=True, exist_ok=True)
    beat = Beat("w-1", pid or os.getpid(), at, joined_count, 1)
    (folder / "1.pulse").write_bytes(msgspec.json.encode(beat))


def test_cluster_starts_from_files(tmp_path: Path, free_port: int) -> None:
    """Gateway and worker know each other by prepared files alone; both are healthy, then gone."""
    address = f"tcp://127.0.0.1:{free_port}"
    folder = tmp_path / "secrets"
    made = prepare(folder, (address,))
    gateway_home, worker_home = tmp_path / "gateway", tmp_path / "worker"
    gateway = Service(
        *("gateway", "--home", str(gateway_home), "--http", "127.0.0.1:0", "--link", address),
        log=tmp_path / "gateway.log",
        environ={
            "ZSCRAPE_LINK_SECRET_FILE": str(folder / "link_secret"),
            "ZSCRAPE_API_KEY_FILE": str(folder / "api_key"),
            "SCRIPT_REPOSITORY_URL": str(SCRIPTS),
        },
    )
    before = ask(gateway_home), ask(gateway_home, is_ready=True), ask(worker_home)
    worker = Service(
        *("worker", "--home", str(worker_home), "--slots", "1"),
        log=tmp_path / "worker.log",
        environ={"ZSCRAPE_JOIN_FILE": str(folder / "join_token")},
    )
    until(lambda: [part.is_well for part in ask(worker_home, is_ready=True)] == [True])
    far = {"ZSCRAPE_URL": gateway.ready["http"], "ZSCRAPE_API_KEY_FILE": str(folder / "api_key")}
    with Client(find_gateway(environ=clean_environ(**far))) as client:
        workers = client.workers()["workers"]
    logged = gateway.words() + worker.words()
    codes = worker.end(), gateway.end()
    after = ask(gateway_home), ask(worker_home)

    assert made.made == ("link_secret", "api_key", "join_token")
    assert [[part.is_well for part in parts] for parts in before] == [[True], [True], []]
    assert len(workers) == 1
    assert codes == (0, 0)
    assert [part.status for part in after[0]] == ["unreachable"]
    assert after[1] == []
    for name in ("link_secret", "api_key", "join_token"):
        assert (folder / name).read_text("utf-8").strip() not in logged


def test_prepared_secrets_stay(tmp_path: Path) -> None:
    """Another address makes another token for the same keys; the folder is its owner's."""
    folder = tmp_path / "secrets"
    prepare(folder, ("tcp://one:5555",))
    first = {path.name: path.read_text("utf-8") for path in folder.iterdir()}

    again = prepare(folder, ("tcp://one:5555", "tcp://two:5555"))

    token = parse_token((folder / "join_token").read_text("utf-8").strip())
    assert again.kept == ("link_secret", "api_key")
    assert token.addresses == ("tcp://one:5555", "tcp://two:5555")
    assert token.server_keys == parse_token(first["join_token"].strip()).server_keys
    assert (folder / "api_key").read_text("utf-8") == first["api_key"]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


def test_secret_of_a_file_is_a_setting(tmp_path: Path) -> None:
    """`NAME_FILE` stands for the value of `NAME`, without the line's end."""
    secret = tmp_path / "secret"
    secret.write_text("x" * 32 + "\n", encoding="utf-8")
    given = {"HOME": str(tmp_path), "ZSCRAPE_LINK_SECRET_FILE": str(secret)}

    settings = load(environ=given)

    assert settings.gateway.link_secret == "x" * 32
    assert settings.sources["gateway.link_secret"] == "ZSCRAPE_LINK_SECRET"
    assert unknown_environment(given) == {}


@pytest.mark.parametrize(
    ("content", "further", "fault"),
    [
        (None, {}, "secret_file"),
        ("", {}, "secret_file"),
        ("x" * 31, {}, "value"),
        ("x" * 32, {"ZSCRAPE_LINK_SECRET": "y" * 32}, "secret_twice"),
    ],
    ids=["missing", "empty", "short", "twice"],
)
def test_secret_that_cannot_be_used(
    tmp_path: Path, content: str | None, further: dict[str, str], fault: str
) -> None:
    """A file that is not there, says nothing or says too little is told, never what is in it."""
    secret = tmp_path / "secret"
    if content is not None:
        secret.write_text(content, encoding="utf-8")
    given = {"HOME": str(tmp_path), "ZSCRAPE_LINK_SECRET_FILE": str(secret), **further}

    with pytest.raises(SettingError) as caught:
        load(environ=given)

    assert caught.value.fault == fault
    assert "xxx" not in str(caught.value.fields)


def test_worker_that_hangs_is_not_well(tmp_path: Path) -> None:
    """A process that is there but whose loop has fallen silent is not alive."""
    write_beat(tmp_path, 1_000.0)

    parts = ask(tmp_path)

    assert [(part.name, part.status, part.is_well) for part in parts] == [("w-1", "silent", False)]


def test_worker_without_a_gateway_is_alive_and_not_ready(tmp_path: Path, now: float) -> None:
    """To start it anew would not help it; to count on it would be wrong."""
    write_beat(tmp_path, now, joined_count=0)

    alive, ready = ask(tmp_path), ask(tmp_path, is_ready=True)

    assert [part.is_well for part in alive + ready] == [True, False]


def test_verb_tells_by_its_exit_code(tmp_path: Path, zscrape: Zscrape) -> None:
    """0 is well, 1 is not; with --json the parts are there to read."""
    empty = zscrape("health")
    far = zscrape.json("health", "--url", "http://127.0.0.1:9", code=1)
    prepared = zscrape.json("token", "prepare", "secrets", "--address", "tcp://gateway:5555")

    assert empty.exit_code == 1
    assert "Nothing runs" in empty.stderr
    assert far["ok"] is False
    assert far["parts"][0]["status"] == "unreachable"
    assert prepared["made"] == ["link_secret", "api_key", "join_token"]


def test_homes_of_one_secret_are_one_gateway(tmp_path: Path) -> None:
    """Keys of the link and of secrets are the same in both; what a home has already stays."""
    one, two, old = (tmp_path / name for name in ("one", "two", "old"))
    old_key = LinkKeys(old).pair
    for home in (one, two, old):
        LinkKeys(home, "s" * 40)
        derive_sealer(home / "secrets.key", "s" * 40)

    sealed = read_sealer(one / "secrets.key").seal("login", "hunter2")

    assert LinkKeys(one).public_keys == LinkKeys(two).public_keys
    assert LinkKeys(one).local.secret != LinkKeys(one).pair.secret
    assert LinkKeys(old).pair == old_key
    assert read_sealer(two / "secrets.key").open("login", sealed) == "hunter2"
