"""The operations handbook: every alert has its section, and every command in it exists."""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

import click
import pytest

from zscrape.cli import main

CONFIGS = Path(__file__).parents[2] / "configs"
HANDBOOK = (CONFIGS / "README.md").read_text("utf-8")
# Each rule from its name on: promtool reads the file as YAML in another test.
RULES = {
    each.partition("\n")[0]: each
    for each in (CONFIGS / "alerts.yml").read_text("utf-8").split("- alert: ")[1:]
}
HEADINGS = re.findall(r"^#+ (.+)$", HANDBOOK, re.MULTILINE)
COMMANDS = sorted(set(re.findall(r"(?:^\$ |^|`)(zscrape [a-z][^`\n]*)", HANDBOOK, re.MULTILINE)))


@pytest.mark.parametrize("name", RULES)
def test_every_alert_says_what_to_do(name: str) -> None:
    """An alert has a section that is more than a line, and links to it."""
    section = HANDBOOK.partition(f"### {name}\n")[2].partition("\n#")[0]

    assert f"runbook: configs/README.md#{name.lower()}\n" in RULES[name]
    assert len(section.split()) > 30


def test_every_section_of_alerts_has_its_alert() -> None:
    """No section tells of a rule that is gone."""
    sections = {heading for heading in HEADINGS if heading.startswith("Zscrape")}

    assert sections == set(RULES)


def test_every_link_within_leads_to_a_heading() -> None:
    """Links to parts of the handbook, and to files beside it, lead somewhere."""
    anchors = {re.sub(r"[^\w\- ]", "", each.lower()).replace(" ", "-") for each in HEADINGS}

    for target in re.findall(r"\]\(([^)]+)\)", HANDBOOK):
        path, _, anchor = target.partition("#")
        assert (CONFIGS / path).exists(), target
        assert not anchor or anchor in anchors, target


@pytest.mark.parametrize("told", COMMANDS)
def test_every_command_exists(told: str) -> None:
    """Verbs and options that the handbook names are those of the command line."""
    words = shlex.split(told.replace("<", ""), comments=True)[1:]
    command: click.Command = main
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        found = command.get_command(click.Context(command), words.pop(0))
        assert found is not None, told
        command = found

    known = {option for each in command.params for option in (*each.opts, *each.secondary_opts)}
    asked = {word.partition("=")[0] for word in words if word.startswith("--")}
    assert asked <= known | {"--help"}, told


def test_commands_were_found() -> None:
    """The search for commands finds them."""
    assert len(COMMANDS) > 40


@pytest.mark.system
def test_shell_of_the_handbook_is_clean() -> None:
    """Shellcheck has nothing to say about the scripts that people run."""
    scripts = [CONFIGS / "drill.sh", CONFIGS.parent / "zscrape/ops/airgap/install.sh"]
    try:
        done = subprocess.run(["shellcheck", *scripts], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        pytest.skip("needs the Debian package shellcheck")

    assert done.returncode == 0, done.stdout
