"""/v1/secrets: values go in, names come out, and nothing opens without the key's file."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from zscrape.config import SettingError
from zscrape.errors.requests import NotFound
from zscrape.errors.scripts import SecretDenied
from zscrape.errors.storage import SecretsSealed
from zscrape.gateway.sealing import make_sealer, read_sealer
from zscrape.gateway.vault import Vault
from zscrape.model import Pin, RunSpec
from zscrape.store.database import Database
from zscrape.store.secrets import MemorySecrets, SecretStore, SqlSecrets

VALUE = "s3cret-of-a-shop"


def vault_in(folder: Path, store: SecretStore, told: list[SecretsSealed] | None = None) -> Vault:
    """Return a vault whose key is in this folder."""
    heard: list[SecretsSealed] = [] if told is None else told
    return Vault(store, folder / "secrets.key", clock=time.time, report=heard.append)


def run_of(script: str, *names: str) -> RunSpec:
    """Return a script that asks for these secrets."""
    return RunSpec(Pin("test", script, "1.0.0", "sha256:0"), secrets=names)


@pytest.fixture
def vault(gateway, tmp_path):
    """Give the gateway a vault."""
    gateway.state.vault = vault_in(tmp_path, MemorySecrets())
    return gateway.state.vault


async def test_a_value_is_never_told(client, vault):
    """What was put in is listed by name, and no answer has the value."""
    kept = await client.post(
        "/v1/secrets", json={"name": "shop", "value": VALUE, "scripts": ["p*"]}
    )
    listed = await client.get("/v1/secrets")

    assert kept.status_code == listed.status_code == 200
    assert [each["name"] for each in listed.json()["secrets"]] == ["shop"]
    assert listed.json()["secrets"][0]["scripts"] == ["p*"]
    assert VALUE not in kept.text + listed.text
    assert vault.values_for(run_of("page", "shop")) == {"shop": VALUE}


async def test_a_grant_changes_alone(client, vault):
    """Without a value the old one stays, and only who may read it changes."""
    await client.post("/v1/secrets", json={"name": "shop", "value": VALUE, "scripts": ["page"]})
    changed = await client.post("/v1/secrets", json={"name": "shop", "scripts": ["other"]})

    assert changed.json()["scripts"] == ["other"]
    assert vault.values_for(run_of("page", "shop")) == {}
    assert vault.values_for(run_of("other", "shop")) == {"shop": VALUE}


async def test_a_removed_secret_is_gone(client, vault):
    """It is granted no more, and removing it again says that there is none."""
    await client.post("/v1/secrets", json={"name": "shop", "value": VALUE, "scripts": ["page"]})
    removed = await client.delete("/v1/secrets/shop")
    again = await client.delete("/v1/secrets/shop")

    assert (removed.status_code, removed.content) == (204, b"")
    assert (again.status_code, again.json()["code"]) == (404, "not_found")
    with pytest.raises(SecretDenied):
        vault.check(run_of("page", "shop"))
    with pytest.raises(NotFound):
        await vault.remove("shop")


@pytest.mark.parametrize(
    ("body", "pointer"),
    [
        ({"name": "1st", "value": VALUE}, "/name"),
        ({"name": "../up", "value": VALUE}, "/name"),
        ({"name": "a", "value": "abc"}, "/value"),
        ({"name": "a", "value": "x" * 70_000}, "/value"),
        ({"name": "a", "value": "with\0nul"}, "/value"),
        ({"name": "a"}, "/value"),
        ({"name": "a", "value": VALUE, "scripts": ["No Name"]}, "/scripts/0"),
        ({"name": "a", "value": 12345}, "/value"),
        ({"name": "a", "valeu": VALUE}, "/valeu"),
    ],
)
async def test_what_cannot_be_a_secret_is_refused(client, vault, body, pointer):
    """The place is named in both languages, and the value is never repeated."""
    for lang in ("en", "ko"):
        answer = await client.post("/v1/secrets", json=body, headers={"Accept-Language": lang})

        assert answer.status_code == 422
        assert answer.json()["problems"][0]["pointer"] == pointer
        assert VALUE not in answer.text
    assert vault.views() == []


async def test_a_task_of_an_ungranted_script_says_what_to_do(client, vault, folder):
    """Whoever asks for what is not granted learns the command that grants it."""
    home = folder / "scripts" / "needy"
    home.mkdir()
    (home / "metadata.json").write_text(
        '{"name": "needy", "version": "1.0.0", "kit": [], "secrets": ["shop"]}'
    )
    (home / "main.py").write_text("def run(*, ctx):\n    return 1\n")
    answer = await client.post("/scrape", json={"script_name": "needy"})
    queued = await client.post("/v1/tasks", json={"script_name": "needy"})

    assert answer.json()["status"] == "failed"
    assert answer.json()["error"]["code"] == "secret_denied"
    assert "zscrape secrets set shop --script needy" in answer.json()["error"]["message"]
    assert (queued.status_code, queued.json()["code"]) == (403, "secret_denied")


async def test_secrets_outlive_the_process_sealed(tmp_path):
    """Another process with the same key opens them; the file has none of them in the clear."""
    database = Database(tmp_path / "zscrape.db")
    first = vault_in(tmp_path, SqlSecrets(database))
    await first.put("shop", value=VALUE, scripts=("*",))
    second = vault_in(tmp_path, SqlSecrets(database))
    await second.load()

    assert second.values_for(run_of("any", "shop")) == {"shop": VALUE}
    assert (tmp_path / "secrets.key").stat().st_mode & 0o777 == 0o600
    await second.remove("shop")
    assert await SqlSecrets(database).all() == []
    await database.close()
    files = [path.read_bytes() for path in tmp_path.glob("zscrape.db*")]
    assert not any(VALUE.encode() in content for content in files)


async def test_a_lost_key_is_told_and_not_replaced(tmp_path):
    """Without its key nothing opens, which is said once more when a script asks for it."""
    store = MemorySecrets()
    await vault_in(tmp_path, store).put("shop", value=VALUE, scripts=("*",))
    (tmp_path / "secrets.key").unlink()
    told: list[SecretsSealed] = []
    later = vault_in(tmp_path, store, told)
    await later.load()

    assert "secrets.key" in told[0].path
    assert later.values_for(run_of("any", "shop")) == {}
    with pytest.raises(SecretsSealed):
        later.check(run_of("any", "shop"))
    assert not (tmp_path / "secrets.key").exists()


async def test_a_row_moved_to_another_name_does_not_open(tmp_path):
    """The name is part of the seal: nobody who can write rows can swap values."""
    sealer = make_sealer(tmp_path / "secrets.key")

    with pytest.raises(SecretsSealed):
        sealer.open("admin", sealer.seal("shop", VALUE))
    with pytest.raises(SecretsSealed):
        sealer.open("shop", sealer.seal("shop", VALUE)[:-1] + b"x")


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o604, 0o660])
async def test_a_key_that_others_can_read_is_refused(tmp_path, mode):
    """The words say which file it is and how to mend it."""
    path = tmp_path / "secrets.key"
    make_sealer(path)
    path.chmod(mode)

    with pytest.raises(SettingError) as caught:
        read_sealer(path)

    assert caught.value.text_key == "config_invalid.readable"
    assert caught.value.source == str(path)


async def test_a_file_without_a_key_is_told(tmp_path):
    """A key file that holds something else is never overwritten."""
    path = tmp_path / "secrets.key"
    path.write_text("nonsense")
    path.chmod(0o600)

    with pytest.raises(SecretsSealed):
        read_sealer(path)
    with pytest.raises(FileExistsError):
        make_sealer(path)
    assert path.read_text() == "nonsense"


async def test_another_gateway_sees_a_change(tmp_path):
    """What one gateway sets, another of the same database has after its next look."""
    store = MemorySecrets()
    first, second = vault_in(tmp_path, store), vault_in(tmp_path, store)
    await first.put("shop", value=VALUE, scripts=("page",))
    await second.load()
    await first.put("shop", value="another-value", scripts=None)
    await second.load()

    assert second.values_for(run_of("page", "shop")) == {"shop": "another-value"}
