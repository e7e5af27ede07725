"""Every setting is in the commented files, and every key of a shipped file is a setting."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from zscrape.config import load, unknown_environment
from zscrape.config.secretfiles import file_names
from zscrape.config.settings import REPOSITORY_ENVIRONMENT, environment_name, settings_known

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / "configs"
SHIPPED = sorted(
    path
    for path in (*CONFIGS.rglob("*"), ROOT / "Dockerfile")
    if path.is_file() and path.suffix != ".png" and not {"secrets", ".env"} & set(path.parts)
)
# Of the client, of Compose, and of deploy.sh: no settings, and known where they are used.
OTHERS = {
    *("ZSCRAPE_URL", "ZSCRAPE_CONFIG", "ZSCRAPE_KEY"),
    *("ZSCRAPE_IMAGE", "ZSCRAPE_VERSION", "ZSCRAPE_WORKER_TARGET", "ZSCRAPE_WORKER_MEMORY"),
    *("ZSCRAPE_PUBLISH", "ZSCRAPE_BALANCER_PUBLISH", "ZSCRAPE_SUBNET", "ZSCRAPE_SCRIPTS"),
    *("ZSCRAPE_SECRETS", "ZSCRAPE_TARGET", "ZSCRAPE_STATE", "ZSCRAPE_START"),
    *("ZSCRAPE_HEALTH_URL", "ZSCRAPE_HEALTH_LIMIT"),
}


def test_every_setting_is_in_a_commented_file() -> None:
    """`gateway.toml` and `worker.toml` have every key, with the name of its variable."""
    files = [(CONFIGS / name).read_text("utf-8") for name in ("gateway.toml", "worker.toml")]
    missing = []
    for setting in settings_known():
        section, _, leaf = setting.name.rpartition(".")
        key = re.compile(rf"^(?:# )?{leaf} = ", re.MULTILINE)
        variable = re.compile(rf"\b{environment_name(setting.name)}\b")
        if not any(
            key.search(text) and variable.search(text) and (not section or f"[{section}]" in text)
            for text in files
        ):
            missing.append(setting.name)

    assert missing == []


def test_commented_files_are_the_defaults(tmp_path: Path) -> None:
    """What they set is what holds without them, but for where scripts come from."""
    environ = {"HOME": str(tmp_path), "LANG": "C.UTF-8"}
    plain = load(environ=environ)
    for name in ("gateway.toml", "worker.toml"):
        loaded = load(environ=environ, file=CONFIGS / name)

        for part in ("gateway", "worker", "isolation", "heartbeat", "queue"):
            assert getattr(loaded, part) == getattr(plain, part), (name, part)


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: str(path.relative_to(ROOT)))
def test_every_variable_named_is_known(path: Path) -> None:
    """A shipped file names no variable that is neither a setting nor told of here."""
    known = {
        *(environment_name(setting.name) for setting in settings_known()),
        *REPOSITORY_ENVIRONMENT.values(),
        *file_names(),
        *OTHERS,
    }
    names = set(re.findall(r"\b(?:ZSCRAPE|SCRIPT|S3)_[A-Z0-9_]+\b", path.read_text("utf-8")))

    assert names <= known, names - known
    assert unknown_environment(dict.fromkeys(names - OTHERS, "x")) == {}
