"""Promises that no single module can keep: every code, text, setting and file is looked at."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules

import click
import pytest

import zscrape
from zscrape import config, errors
from zscrape.cli import VERBS, main
from zscrape.cli.families import (
    audit,
    deadletters,
    keys,
    locks,
    schedules,
    scripts,
    secrets,
    tasks,
    token,
    workers,
)
from zscrape.client import ClientError
from zscrape.errors import ZscrapeError
from zscrape.messages import CATALOGUE, placeholders
from zscrape.model import OutcomeCode, TaskState

PACKAGE = Path(zscrape.__file__).parent
CHECKOUT = PACKAGE.parent
SOURCES = sorted(PACKAGE.rglob("*.py"))
CONFIGS = sorted((CHECKOUT / "configs").glob("*.toml"))
# Prefixes of the catalogue: a text in the source that starts with one must be a key of it.
KEY = re.compile(
    r"(cli|client|doctor|event|explain|summary|config_invalid|problem|entry|environment_error)(\.[a-z0-9_]+)+"
)


def trees() -> Iterator[tuple[Path, ast.Module]]:
    """Yield every module with its syntax tree."""
    for path in SOURCES:
        yield path, ast.parse(path.read_text(encoding="utf-8"))


def raised_classes() -> list[type[ZscrapeError]]:
    """Return every error class that is raised, those defined outside `errors` too."""
    for module in iter_modules(errors.__path__):
        import_module(f"{errors.__name__}.{module.name}")
    found: list[type[ZscrapeError]] = []
    waiting = ZscrapeError.__subclasses__()
    while waiting:
        kind = waiting.pop()
        waiting.extend(kind.__subclasses__())
        is_base = (kind.__doc__ or "").startswith("Base")
        if not is_base and kind is not ClientError:  # whose words come with it
            found.append(kind)
    return sorted(found, key=lambda kind: kind.__name__)


# ---- words ---------------------------------------------------------------------------


@pytest.mark.parametrize("code", [str(code) for code in OutcomeCode])
def test_every_outcome_code_has_words(code: str) -> None:
    """How an attempt ended can always be told."""
    assert code in CATALOGUE


@pytest.mark.parametrize("kind", raised_classes(), ids=lambda kind: kind.__name__)
def test_every_error_has_words_for_its_code(kind: type[ZscrapeError]) -> None:
    """An error's code has words, and these ask only for fields that the error has."""
    own = set(kind.field_names)

    assert kind.code in CATALOGUE
    if kind.text_key is ZscrapeError.text_key:
        assert placeholders(CATALOGUE[kind.code].en) <= own


def test_every_key_in_the_source_is_in_the_catalogue() -> None:
    """No verb and no module speaks in a key that has no words."""
    missing = {
        f"{path.relative_to(PACKAGE)}: {node.value}"
        for path, tree in trees()
        if path.parent.name != "messages"
        for node in ast.walk(tree)
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and KEY.fullmatch(node.value)
        and node.value not in CATALOGUE
        and not any(key.startswith(node.value + ".") for key in CATALOGUE)
        and node.value not in FILE_NAMES
    }

    assert missing == set()


# Texts that look like keys and are none.
FILE_NAMES = {"client.toml", "summary.json"}


def test_every_log_event_has_words() -> None:
    """A line of the log can be read by a person: each event's name is in the catalogue."""
    missing = {
        f"{path.relative_to(PACKAGE)}: {event}"
        for path, tree in trees()
        for event in logged_events(tree)
        if f"event.{event}" not in CATALOGUE
    }

    assert missing == set()


def logged_events(tree: ast.Module) -> Iterator[str]:
    """Yield the constant names given to `log.info(...)` and the like."""
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.args):
            continue
        level, target = node.func.attr, ast.unparse(node.func.value)
        if level not in ("debug", "info", "warning", "error", "exception"):
            continue
        is_ours = re.search(r"(^|[._])(log|logger)$", target) and not target.startswith("ctx")
        first = node.args[0]
        if is_ours and isinstance(first, ast.Constant) and isinstance(first.value, str):
            yield first.value


@pytest.mark.parametrize("state", list(TaskState))
def test_every_state_has_words(state: TaskState) -> None:
    """The command line can name every state of a task."""
    assert f"cli.state.{state}" in CATALOGUE


def test_every_verb_and_option_has_help() -> None:
    """`--help` of every verb speaks both languages: each help text is a key."""
    without = []
    families = (tasks, deadletters, schedules, locks, scripts, keys, audit, workers, secrets, token)
    for family in (main, *families):
        ctx = click.Context(family)
        for name in family.list_commands(ctx):
            command = family.get_command(ctx, name)
            assert command is not None
            helps = [command.help, *(getattr(param, "help", None) for param in command.params)]
            without += [key for key in helps if key and key not in CATALOGUE]

    assert without == []
    assert list(VERBS) == main.list_commands(click.Context(main))


# ---- settings ------------------------------------------------------------------------


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_configuration_files_load(
    path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What we ship as an example is accepted."""
    monkeypatch.chdir(tmp_path)

    settings = config.load(environ={"HOME": str(tmp_path)}, file=path)

    assert settings.sources["lang"] == f"{path}: lang"


@pytest.mark.parametrize("setting", list(config.settings_known()), ids=lambda setting: setting.name)
def test_every_setting_is_in_a_configuration_file(setting: config.Setting) -> None:
    """Each setting and its environment variable stand in an example, with the true default."""
    section, _, leaf = setting.name.rpartition(".")
    written = "\n".join(path.read_text(encoding="utf-8") for path in CONFIGS)
    line = re.search(rf"^(# )?{leaf} = (?P<value>.+)$", written, re.MULTILINE)

    assert line is not None
    assert not section or f"[{section}]" in written
    assert config.environment_name(setting.name) in written
    if not line[0].startswith("#"):
        value = tomllib.loads(f"value = {line['value']}")["value"]
        told = tuple(value) if isinstance(value, list) else value
        assert told == setting.default


def test_a_configuration_file_comments_every_key() -> None:
    """Nobody has to guess what a key means: a comment stands above each."""
    bare = []
    for path in CONFIGS:
        previous = ""
        for line in path.read_text(encoding="utf-8").splitlines():
            is_key = re.match(r"[a-z_]+ = ", line)
            if is_key and not previous:
                bare.append(f"{path.name}: {line}")
            previous = line
    assert bare == []
