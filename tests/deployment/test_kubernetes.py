"""The overlays as `kubectl kustomize` puts them together: by Kubernetes' schemas and our names."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import click
import jsonschema
import pytest
import yaml

from zscrape.cli import main
from zscrape.config import unknown_environment
from zscrape.config.secretfiles import file_names
from zscrape.config.settings import (
    REPOSITORY_ENVIRONMENT,
    environment_name,
    settings_known,
)

ROOT = Path(__file__).parents[2]
KUBERNETES = ROOT / "configs" / "kubernetes"
OVERLAYS = ("development", "staging", "production")
SCHEMAS = json.loads((Path(__file__).parent / "schemas" / "kubernetes.json").read_text("utf-8"))
KNOWN = {
    *(environment_name(setting.name) for setting in settings_known()),
    *REPOSITORY_ENVIRONMENT.values(),
    *file_names(),
}
# Of operators, which have no schema in Kubernetes itself.
FURTHER = {"ScaledObject", "ServiceMonitor"}


@pytest.fixture(scope="module", params=OVERLAYS)
def documents(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> list[dict[str, Any]]:
    """What one overlay comes to."""
    program = shutil.which("kubectl") or shutil.which("kustomize")
    if program is None:
        pytest.skip("needs kubectl or kustomize")
    folder = tmp_path_factory.mktemp("kubernetes") / "kubernetes"
    shutil.copytree(KUBERNETES, folder, ignore=shutil.ignore_patterns("secrets"))
    overlay = folder / "overlays" / request.param
    (overlay / "secrets").mkdir()
    for name in ("link_secret", "api_key", "join_token", "database_url", "s3_secret_key"):
        (overlay / "secrets" / name).write_text(f"a-{name}", encoding="utf-8")
    verb = ["kustomize"] if program.endswith("kubectl") else ["build"]
    done = subprocess.run([program, *verb, overlay], check=False, capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    return list(yaml.safe_load_all(done.stdout))


def of_kind(documents: list[dict[str, Any]], kind: str, name: str = "") -> dict[str, Any]:
    """Return the one object of a kind, or of a kind and a name."""
    found = [
        each
        for each in documents
        if each["kind"] == kind and each["metadata"]["name"].startswith(name)
    ]
    assert len(found) == 1, (kind, name, len(found))
    return found[0]


def pods(documents: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return what pods are made from, by name."""
    return {
        each["metadata"]["name"]: each["spec"]["template"]["spec"]
        for each in documents
        if each["kind"] in ("StatefulSet", "Deployment")
    }


def test_objects_are_by_their_schemas(documents: list[dict[str, Any]]) -> None:
    """Every object is valid for Kubernetes, with no field that it does not define."""
    for each in documents:
        if each["kind"] in FURTHER:
            continue
        name = SCHEMAS["kinds"][each["kind"]]
        schema = {"$ref": f"#/definitions/{name}", "definitions": SCHEMAS["definitions"]}
        jsonschema.Draft7Validator(schema).validate(each)
        assert each["kind"] == "Namespace" or each["metadata"]["namespace"] == "zscrape"


def test_pods_are_confined(documents: list[dict[str, Any]]) -> None:
    """They are what the namespace's policy `restricted` asks for, with a read-only root."""
    for pod in pods(documents).values():
        context = pod["securityContext"]
        assert context["runAsNonRoot"] is True
        assert context["seccompProfile"] == {"type": "RuntimeDefault"}
        assert pod["automountServiceAccountToken"] is False
        for container in pod["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert container["resources"]["limits"]["memory"]
            assert {"startupProbe", "readinessProbe", "livenessProbe"} <= container.keys()


def test_every_variable_is_a_setting(documents: list[dict[str, Any]]) -> None:
    """No container is given a variable that zscrape does not know."""
    names: set[str] = set()
    for each in documents:
        if each["kind"] == "ConfigMap":
            names |= each["data"].keys()
    for pod in pods(documents).values():
        names |= {entry["name"] for entry in pod["containers"][0].get("env", ())}

    assert len(names) > 8
    assert names <= KNOWN, names - KNOWN
    assert unknown_environment(dict.fromkeys(names, "x")) == {}


def test_probes_ask_what_there_is(documents: list[dict[str, Any]]) -> None:
    """Paths are of the API's open routes, and commands are verbs with their options."""
    for pod in pods(documents).values():
        container = pod["containers"][0]
        ports = {port["name"] for port in container.get("ports", ())}
        for kind in ("startupProbe", "readinessProbe", "livenessProbe"):
            probe = container[kind]
            if "httpGet" in probe:
                assert probe["httpGet"]["path"] in ("/health", "/ready")
                assert probe["httpGet"]["port"] in ports
            else:
                program, verb, *arguments = probe["exec"]["command"]
                command = main.get_command(click.Context(main), verb)
                assert program == "zscrape"
                assert command is not None
                command.make_context(verb, arguments, parent=click.Context(main))


def test_what_is_referred_to_is_there(documents: list[dict[str, Any]]) -> None:
    """Config maps, secrets with their keys, volumes, services and selectors lead to something."""
    names = {(each["kind"], each["metadata"]["name"]) for each in documents}
    secrets = {
        each["metadata"]["name"]: set(each["data"])
        for each in documents
        if each["kind"] == "Secret"
    }
    for pod in pods(documents).values():
        container = pod["containers"][0]
        for source in container["envFrom"]:
            assert ("ConfigMap", source["configMapRef"]["name"]) in names
        files = {
            f"/run/secrets/zscrape/{item['path']}": item["key"]
            for volume in pod["volumes"]
            if "secret" in volume
            for item in volume["secret"]["items"]
        }
        for volume in pod["volumes"]:
            if "secret" in volume:
                keys = {item["key"] for item in volume["secret"]["items"]}
                assert keys <= secrets[volume["secret"]["secretName"]]
        for entry in container["env"]:
            assert entry["value"] in files
    gateway = of_kind(documents, "StatefulSet")
    assert ("Service", gateway["spec"]["serviceName"]) in names
    for each in documents:
        if each["kind"] == "ConfigMap" and "zscrape-gateway" in each["metadata"]["name"]:
            for name, value in each["data"].items():
                assert not name.endswith("_FILE") or Path(value).name in set.union(
                    *secrets.values()
                )


def test_several_gateways_share_a_database(documents: list[dict[str, Any]]) -> None:
    """More than one gateway is only there with PostgreSQL and a bucket."""
    data = of_kind(documents, "ConfigMap", "zscrape-gateway")["data"]
    count = of_kind(documents, "StatefulSet")["spec"]["replicas"]

    assert (
        (count > 1) == ("ZSCRAPE_DATABASE_URL_FILE" in data) == (data.get("ZSCRAPE_BLOBS") == "s3")
    )


def test_workers_follow_the_queue() -> None:
    """What KEDA asks Prometheus for are figures of ours, and it scales the workers."""
    path = KUBERNETES / "components" / "autoscaling" / "scaledobject.yaml"
    spec = yaml.safe_load(path.read_text("utf-8"))["spec"]
    query = spec["triggers"][0]["metadata"]["query"]
    names = set(re.findall(r"\b(?:scraping|zscrape)_\w+", query))
    told = (ROOT / "zscrape" / "gateway" / "metrics.py").read_text("utf-8")

    assert spec["scaleTargetRef"]["name"] == "zscrape-worker"
    assert "scraping_queue_length" in names
    assert all(f'"{name}"' in told for name in names)
