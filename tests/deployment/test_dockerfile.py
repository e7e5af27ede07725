"""The Dockerfile, as far as it can be judged without an engine that builds it."""

from __future__ import annotations

import json
import re
from fnmatch import fnmatch
from pathlib import Path

import click

from zscrape.cli import main
from zscrape.config import unknown_environment

ROOT = Path(__file__).parents[2]
# Each instruction on one line, without comments.
TEXT = re.sub(r"^#.*\n", "", (ROOT / "Dockerfile").read_text("utf-8"), flags=re.MULTILINE)
INSTRUCTIONS = [
    tuple(line.split(maxsplit=1))
    for line in re.sub(r"\s*\\\n\s*", " ", TEXT).splitlines()
    if line.strip()
]


def values(name: str) -> list[str]:
    """Return what instructions of one kind say."""
    return [told for kind, told in INSTRUCTIONS if kind == name]


def stages() -> dict[str, list[tuple[str, str]]]:
    """Return the instructions of each stage, those of the stage that it begins from included."""
    found: dict[str, list[tuple[str, str]]] = {}
    current: list[tuple[str, str]] = []
    for kind, told in INSTRUCTIONS:
        if kind == "FROM":
            source, _, name = told.partition(" AS ")
            current = found[name] = list(found.get(source, ()))
        else:
            current.append((kind, told))
    return found


def test_targets_run_as_a_user_without_rights() -> None:
    """Every target ends as a user by number, starts the program itself, and stops by SIGTERM."""
    found = stages()

    assert list(found)[-1] == "up"
    for name in ("gateway", "worker", "worker-browser", "up"):
        told = dict(found[name])
        assert told["USER"] == "10001:10001"
        assert json.loads(told["ENTRYPOINT"]) == ["zscrape"]
        assert told["STOPSIGNAL"] == "SIGTERM"
        assert json.loads(told["VOLUME"]) == ["/var/lib/zscrape"]
        (verb,) = json.loads(told["CMD"])
        assert main.get_command(click.Context(main), verb) is not None


def test_health_check_is_our_own() -> None:
    """It asks by the product's command, in exec form: the image needs no curl."""
    (told,) = values("HEALTHCHECK")
    program, verb, *arguments = json.loads(told.partition(" CMD ")[2])
    command = main.get_command(click.Context(main), verb)

    assert program == "zscrape"
    assert command is not None
    command.make_context(verb, arguments, parent=click.Context(main))
    assert "curl" not in TEXT


def test_what_is_copied_is_there_and_let_through() -> None:
    """Sources exist, and `.dockerignore`, which lets nothing else through, has them."""
    lines = (ROOT / ".dockerignore").read_text("utf-8").splitlines()
    allowed = [line[1:] for line in lines if line.startswith("!")]

    assert lines[0] == "*"
    for told in values("COPY"):
        if told.startswith("--from="):
            continue
        for source in told.split()[:-1]:
            assert (ROOT / source).exists(), source
            assert any(fnmatch(source, each) for each in allowed), source


def test_what_is_installed_is_pinned() -> None:
    """Base images have a version, packages hashes, and nothing is built from other sources."""
    installs = [
        step
        for told in values("RUN")
        for step in told.split("&&")
        if re.search(r"pip .*\binstall\b", step)
    ]

    assert len(installs) == 3
    assert all("--require-hashes" in step or "--no-index" in step for step in installs)
    for told in values("FROM"):
        source = told.split()[0]
        assert source in ("base", "worker") or re.search(r":.*\$\{PYTHON\}", source)
    assert re.search(r"^ARG PYTHON=3\.\d+$", TEXT, re.MULTILINE)
    entries = re.split(r"\n(?=[a-z0-9])", (ROOT / "requirements-build.lock").read_text("utf-8"))[1:]
    assert entries
    assert all("==" in each and "--hash=sha256:" in each for each in entries)


def test_variables_are_settings() -> None:
    """What an image sets in the environment means something to zscrape."""
    names = re.findall(r"\b(ZSCRAPE_\w+)=", " ".join(values("ENV")))

    assert {"ZSCRAPE_HOME", "ZSCRAPE_HTTP", "ZSCRAPE_LINK"} <= set(names)
    assert unknown_environment(dict.fromkeys(names, "x")) == {}


def test_labels_have_the_version() -> None:
    """The version of the label is that of the package."""
    version = re.search(
        r'__version__ = "([^"]+)"', (ROOT / "zscrape" / "__init__.py").read_text("utf-8")
    )

    assert version is not None
    assert f"VERSION={version[1]}" in values("ARG")
