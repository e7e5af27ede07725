"""`compose.yaml` and what it brings: by the specification's schema, and by our own names."""

from __future__ import annotations

import json
import os
import re
import runpy
import shutil
import subprocess
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from tests.scripts.s3_servers import ACCESS_KEY, SECRET_KEY, RcloneServer
from zscrape.config import unknown_environment
from zscrape.config.secretfiles import file_names
from zscrape.config.settings import (
    REPOSITORY_ENVIRONMENT,
    environment_name,
    settings_known,
)

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / "configs"
SCHEMA = json.loads((Path(__file__).parent / "schemas" / "compose.json").read_text("utf-8"))
KNOWN = {
    *(environment_name(setting.name) for setting in settings_known()),
    *REPOSITORY_ENVIRONMENT.values(),
    *file_names(),
}
# Compose's own, and what compose.yaml itself asks for.
OF_COMPOSE = {"COMPOSE_PROFILES"}


def interpolate(text: str, environ: dict[str, str]) -> str:
    """Put variables in as Compose does: `${NAME:-default}`, nested ones too."""
    pattern = re.compile(r"\$\{(\w+):-([^${}]*)\}")
    return pattern.sub(lambda found: environ.get(found[1]) or found[2], text)


def dotenv(path: Path) -> dict[str, str]:
    """Return the variables of an example file."""
    lines = path.read_text("utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if line and not line.startswith("#"))


def compose(*files: str) -> dict[str, Any]:
    """Return the document as Compose sees it with these example files."""
    environ: dict[str, str] = {}
    for name in files:
        environ |= dotenv(CONFIGS / name)
    text = interpolate((CONFIGS / "compose.yaml").read_text("utf-8"), environ)
    assert "${" not in text
    return dict(yaml.safe_load(text))


EXAMPLES = [(), (".env.example",), (".env.cluster.example",)]


@pytest.mark.parametrize("files", EXAMPLES, ids=["none", "single", "cluster"])
def test_compose_is_by_the_specification(files: tuple[str, ...]) -> None:
    """The document is valid, without a settings file and with each example."""
    jsonschema.Draft7Validator(SCHEMA).validate(compose(*files))


@pytest.mark.parametrize("files", EXAMPLES, ids=["none", "single", "cluster"])
def test_every_variable_of_a_container_is_a_setting(files: tuple[str, ...]) -> None:
    """No container is given a variable that zscrape does not know."""
    services = compose(*files)["services"]

    for name in ("gateway", "gateway-2", "worker", "bucket"):
        environ = services[name]["environment"]
        assert environ.keys() <= KNOWN, environ.keys() - KNOWN
        assert unknown_environment(environ) == {}


def test_what_is_referred_to_is_there() -> None:
    """Secrets, volumes, networks, dependencies and files that services name exist."""
    document = compose()
    services = document["services"]

    for service in services.values():
        assert set(service.get("secrets", ())) <= document["secrets"].keys()
        assert set(service.get("depends_on", ())) <= services.keys()
        for volume in service.get("volumes", ()):
            source = volume.split(":")[0]
            if source.startswith("."):
                assert (CONFIGS / source).exists(), source
            elif not source.startswith("/"):
                assert source in document["volumes"]
        target = service.get("build", {}).get("target")
        assert target is None or f" AS {target}\n" in (ROOT / "Dockerfile").read_text("utf-8")


def test_ours_are_confined() -> None:
    """Our containers have a read-only root, no capabilities, limits, and a check of their own."""
    services = compose()["services"]

    for name in ("gateway", "gateway-2", "worker"):
        service = services[name]
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
        assert service["mem_limit"]
        assert service["pids_limit"]
        assert service["healthcheck"]["test"] == ["CMD", "zscrape", "health"]
    assert services["worker"]["deploy"]["replicas"] == 3
    assert all(
        port.startswith("127.0.0.1:")
        for each in services.values()
        for port in each.get("ports", ())
    )


def test_examples_name_what_compose_asks_for() -> None:
    """An example has no variable that nothing reads, and both have all there are."""
    asked = set(re.findall(r"\$\{(\w+)", (CONFIGS / "compose.yaml").read_text("utf-8")))
    single, cluster = dotenv(CONFIGS / ".env.example"), dotenv(CONFIGS / ".env.cluster.example")
    by_deploy = set(re.findall(r"\b(ZSCRAPE_\w+)", (CONFIGS / "deploy.sh").read_text("utf-8")))

    assert single.keys() <= asked | OF_COMPOSE
    assert cluster.keys() <= asked | OF_COMPOSE | by_deploy
    assert asked <= single.keys() | cluster.keys()


def test_bucket_is_made_once(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The one-shot container makes the bucket, and does no harm when it is there."""
    (tmp_path / "served").mkdir()
    server = RcloneServer(tmp_path / "served", "path")
    secret = tmp_path / "secret"
    secret.write_text(SECRET_KEY + "\n", encoding="utf-8")
    for name, value in {
        "ZSCRAPE_BLOB_BUCKET": "made-by-compose",
        "ZSCRAPE_BLOB_ENDPOINT_URL": server.url,
        "ZSCRAPE_BLOB_REGION": "us-east-1",
        "ZSCRAPE_BLOB_ACCESS_KEY": ACCESS_KEY,
        "ZSCRAPE_BLOB_SECRET_KEY_FILE": str(secret),
    }.items():
        monkeypatch.setenv(name, value)

    for _ in range(2):
        runpy.run_path(str(CONFIGS / "compose" / "bucket.py"))

    listed = server.client.list_buckets()["Buckets"]
    server.close()

    assert [each["Name"] for each in listed].count("made-by-compose") == 1


@pytest.mark.system
def test_nginx_takes_the_balancer_s_settings(tmp_path: Path) -> None:
    """A real nginx finds no fault in them."""
    nginx = shutil.which("nginx", path=f"{os.environ.get('PATH', '')}:/usr/sbin")
    if nginx is None:
        pytest.skip("needs the Debian package nginx-light")
    text = (CONFIGS / "compose" / "nginx.conf").read_text("utf-8")
    local = text.replace("gateway:8000", "127.0.0.1:8000").replace(
        "gateway-2:8000", "127.0.0.1:8001"
    )
    settings = tmp_path / "nginx.conf"
    settings.write_text(local.replace("/tmp/", f"{tmp_path}/"), encoding="utf-8")

    done = subprocess.run(
        [nginx, "-t", "-c", settings], check=False, capture_output=True, text=True
    )

    assert done.returncode == 0, done.stderr


@pytest.mark.system
def test_prometheus_takes_its_settings(tmp_path: Path) -> None:
    """`promtool` finds no fault in them, nor in the rules they name."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("needs the Debian package prometheus")
    for path in (CONFIGS / "compose" / "prometheus.yml", CONFIGS / "alerts.yml"):
        shutil.copy(path, tmp_path)

    done = subprocess.run(
        [promtool, "check", "config", tmp_path / "prometheus.yml"],
        check=False,
        capture_output=True,
        text=True,
    )

    assert done.returncode == 0, done.stderr
