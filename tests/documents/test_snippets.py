"""What the documents tell readers to do is done: every command, script, setting and call."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest

from tests.documents.house import ROOT, House
from tests.documents.snippets import (
    Command,
    Snippet,
    anchors_of,
    commands_of,
    links_of,
    snippets_of,
)
from zscrape.config import load
from zscrape.scripts.manifest import parse_manifest

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(120)]

# README.ko.md has the same snippets: they are compared, and run once.
RUN: Final = [name for name in ("README.md", "configs/README.md") if (ROOT / name).exists()]
KOREAN: Final = "README.ko.md"
HANDBOOK: Final = "configs/README.md"
KOREAN_HANDBOOK: Final = "configs/README.ko.md"  # the parts that one needs first, or in a hurry
# What cannot be run here, by how a command begins, and why. It is printed at the end of the test.
ELSEWHERE: Final = {
    r"pip install": "the continuous integration begins with installing and its two commands",
    r"SCRIPT_REPOSITORY_TYPE=git ": "needs a Git host; tests/e2e/test_repositories.py has one",
    r"ZSCRAPE_DATABASE_URL=": "needs PostgreSQL; tests/e2e/test_two_gateways.py has one",
    r"zscrape worker --join TOKEN_OF_A": "joins those two gateways",
    r"(docker|podman|kubectl|helm) ": "needs a container engine or a Kubernetes cluster",
    r"(sudo )?(systemctl|journalctl|systemd-\w+|install|useradd|loginctl|apt-get) ": (
        "needs a machine of its own"
    ),
    r"(ssh|scp|rsync) ": "needs another machine",
}
# A command whose end says something else than that all went well, and why.
ENDS: Final[dict[str, tuple[int, ...]]] = {
    "zscrape doctor": (0, 2),  # it may find fault with the machine of the test
}
SNIPPETS: Final = [each for name in RUN for each in snippets_of(ROOT / name, name)]


def of(*languages: str) -> Iterator[Snippet]:
    """Return the snippets of these languages, in their order."""
    return (each for each in SNIPPETS if each.language in languages)


def elsewhere(command: Command) -> str:
    """Return why a command cannot be run here, or an empty text."""
    return next((why for start, why in ELSEWHERE.items() if re.match(start, command.text)), "")


def is_file(snippet: Snippet) -> str:
    """Return the file that a snippet's first line names, or an empty text."""
    named = re.match(r"# ([\w/.]+\.\w+)\n", snippet.text)
    return named[1] if named else ""


def is_script(snippet: Snippet) -> bool:
    """True iff it is a script's entry point."""
    return bool(re.search(r"^(async )?def run\(", snippet.text, re.MULTILINE))


@pytest.mark.parametrize("snippet", SNIPPETS, ids=str)
def test_a_snippet_does_what_the_document_says(house: House, snippet: Snippet) -> None:
    """Commands end well, scripts run, settings load, requirements can be installed."""
    kinds = {
        "console": commands_end_well,
        "python": python_runs,
        "json": manifest_is_sound,
        "toml": settings_load,
        "requirements": requirements_are_sound,
        "text": is_shown_only,
    }

    assert snippet.language in kinds, f"{snippet}: no test knows {snippet.language!r} snippets"
    kinds[snippet.language](house, snippet)


def commands_end_well(house: House, snippet: Snippet) -> None:
    """Run each command of it; what it is shown to answer has the names it is shown with."""
    for command in commands_of(snippet):
        if elsewhere(command):
            continue
        if command.text.startswith("curl ") and shutil.which("curl") is None:
            pytest.skip("needs Debian's package curl")
        ran = house.run(command.text)
        wanted = next(
            (ends for start, ends in ENDS.items() if command.text.startswith(start)), (0,)
        )
        shown = set(re.findall(r'"([\w.]+)":', command.shown))
        told = set(re.findall(r'"([\w.]+)":', ran.out))

        assert ran.code in wanted, f"{command.text}\n{ran.out}\n{ran.error}"
        assert shown <= told, f"{command.text}\n{ran.out}"
        assert '"status":4' not in ran.out, f"{command.text}\n{ran.out}"


def python_runs(house: House, snippet: Snippet) -> None:
    """Write a file that the snippet names; run a script on the cluster, and all else here."""
    if name := is_file(snippet):
        (house.folder / name).write_text(snippet.text)
    elif is_script(snippet):
        script_runs(house, snippet)
    else:
        done = subprocess.run(
            [sys.executable, "-c", house.filled(snippet.text)],
            cwd=house.folder,
            env=house.environ,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr


def script_runs(house: House, snippet: Snippet) -> None:
    """Run it on the bundled site's page that has what it looks for."""
    has_browser = "ctx.browser" in snippet.text
    if has_browser and shutil.which("chromium") is None:
        pytest.skip("needs Debian's package chromium")
    name = f"line_{snippet.line}"
    folder = house.folder / "scripts" / name
    folder.mkdir()
    (folder / "main.py").write_text(snippet.text)
    kit = ["http", "browser"] if has_browser else ["http"]
    (folder / "metadata.json").write_text(
        json.dumps({"name": name, "version": "1.0.0", "kit": kit})
    )
    url = f"{house.site}/live" if has_browser else house.orders
    body = {"script_name": name, "parameters": {"url": url}}
    told = house.web.post("/scrape", json=body).json()

    assert told["status"] == "completed", told["error"]
    assert told["data"]


def manifest_is_sound(house: House, snippet: Snippet) -> None:
    """Read it as the manifest of the script that it names, without a warning."""
    name = json.loads(snippet.text)["name"]
    manifest = parse_manifest(snippet.text.encode(), name)
    (house.folder / "scripts" / name / "metadata.json").write_text(snippet.text)

    assert manifest.name == name
    assert manifest.warnings == ()


def settings_load(house: House, snippet: Snippet) -> None:
    """Load it as the settings file of a gateway."""
    path = house.folder / (is_file(snippet) or "snippet.toml")
    path.write_text(snippet.text)
    environ = {"HOME": str(house.folder), "PATH": os.environ["PATH"]}

    load(file=path, environ=environ)  # raises what is wrong with it


def is_shown_only(house: House, snippet: Snippet) -> None:
    """Do nothing: a drawing."""


def requirements_are_sound(house: House, snippet: Snippet) -> None:
    """Check a script with these requirements."""
    folder = house.folder / "needy"
    folder.mkdir(exist_ok=True)
    (folder / "requirements.txt").write_text(snippet.text)
    (folder / "main.py").write_text("def run():\n    return 1\n")
    about = {"name": "needy", "version": "1.0.0", "description": "Needs much.", "author": "you"}
    (folder / "metadata.json").write_text(json.dumps(about))
    ran = house.run("zscrape scripts check needy")

    assert ran.code == 0, ran.out + ran.error


def test_what_is_not_run_is_known(capsys: pytest.CaptureFixture[str]) -> None:
    """Every reason not to run a command is needed, and shown to whoever reads the test's output."""
    commands = [(each, command) for each in of("console") for command in commands_of(each)]
    left_out = [(str(each), command.text, elsewhere(command)) for each, command in commands]
    left_out = [each for each in left_out if each[2]]
    left_out += [(str(each), each.text, "is shown, not run") for each in of("text")]
    with capsys.disabled():
        for place, command, why in left_out:
            sys.stdout.write(f"\n  not run, {place}: {command[:60].strip()!r}: {why}")

    assert len(left_out) < len(commands) / 4 or "configs/README.md" in RUN


def test_the_korean_readme_has_the_same_snippets() -> None:
    """Its snippets are those of the README, but for the words of comments."""
    theirs = [
        [
            (each.language, re.sub(r"\s+#\s.*", "", each.text))
            for each in snippets_of(ROOT / name, name)
        ]
        for name in ("README.md", KOREAN)
    ]

    assert theirs[1] == theirs[0]


def test_the_korean_readme_has_the_same_parts() -> None:
    """It has headings of the same depths, tables with as many rows, links to the same files."""
    texts = [(ROOT / name).read_text(encoding="utf-8") for name in ("README.md", KOREAN)]
    depths = [re.findall(r"^(#+) ", each, re.MULTILINE) for each in texts]
    rows = [len(re.findall(r"^\|", each, re.MULTILINE)) for each in texts]
    files = [
        sorted(
            target for target, _ in links_of(ROOT / name) if target not in ("", KOREAN, "README.md")
        )
        for name in ("README.md", KOREAN)
    ]

    assert depths[1] == depths[0]
    assert rows[1] == rows[0]
    assert files[1] == files[0]


def test_the_korean_handbook_says_the_same() -> None:
    """Each part that it has is there, with the snippets of the handbook, in their order."""
    theirs, ours = [
        [
            (each.language, re.sub(r"\s+#\s.*", "", each.text))
            for each in snippets_of(ROOT / name, name)
        ]
        for name in (HANDBOOK, KOREAN_HANDBOOK)
    ]
    alerts, told = [
        re.findall(r"^### (Zscrape\w+)$", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE)
        for name in (HANDBOOK, KOREAN_HANDBOOK)
    ]
    rest = iter(theirs)

    assert ours
    assert all(each in rest for each in ours)
    assert told == alerts


@pytest.mark.parametrize("name", [*RUN, KOREAN, KOREAN_HANDBOOK])
def test_links_lead_somewhere(name: str) -> None:
    """Files and headings that a document links to exist."""
    here = ROOT / name
    broken = [
        (target, anchor)
        for target, anchor in links_of(here)
        if not _leads(here.parent / target if target else here, anchor)
    ]

    assert broken == []


def _leads(path: Path, anchor: str) -> bool:
    return path.exists() and (not anchor or anchor in anchors_of(path))
