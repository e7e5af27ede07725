"""A worker as a service of its machine: the unit of systemd, or the property list of launchd.

Nothing here starts anything but `act`, which runs the commands of a plan; what they are can be
read before (`--dry-run`).
"""

from __future__ import annotations

import os
import plistlib
import pwd
import re
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

import msgspec
from msgspec import Struct

from zscrape.config import (
    MASK,
    SECRETS,
    RepositorySettings,
    SettingError,
    Settings,
    settings_known,
    usable,
)
from zscrape.config.keyfiles import write_private
from zscrape.errors import ConfigError
from zscrape.messages import text
from zscrape.ops.units import worker_unit
from zscrape.worker.interpreters import PASSED_ENVIRON

Init = Literal["systemd", "launchd"]

SYSTEM_HOME: Final = Path("/var/lib/zscrape")
MARK: Final = "Written by `zscrape worker install`"
# What one attempt may take by default, and then some: a worker that is stopped ends what it runs.
STOP_LIMIT_S: Final = 330
_NAME: Final = re.compile(r"[a-z0-9][a-z0-9_-]{0,62}")
_COMMAND_TIMEOUT_S: Final = 60.0


class Service(Struct, frozen=True, kw_only=True):
    """What a service is: its files, and what makes the machine know it or forget it."""

    name: str
    init: Init
    is_user: bool
    unit: Path
    unit_text: str
    settings: Path  # with the join token: for its owner only
    table: dict[str, Any]
    variables: Path  # how this shell reaches the network: services inherit nothing of it
    environ: dict[str, str]
    start: list[list[str]]
    stop: list[list[str]]
    forget: list[list[str]]  # once its files are gone


def default_init() -> Init:
    """Return what starts services on this machine."""
    return "launchd" if sys.platform == "darwin" else "systemd"


def plan_worker(
    settings: Settings, *, name: str, is_user: bool, init: Init, lang: str = "en"
) -> Service:
    """Return the service that runs a worker with these settings.

    Raises:
        ConfigError: The name is none for a service, or no gateway is named.
    """
    if _NAME.fullmatch(name) is None:
        raise SettingError(
            source="--name", reason="no name", fault="value", value=name, expected=_NAME.pattern
        )
    if settings.sources["worker.join"] == "default":
        raise ConfigError(source="--join", reason=text("cli.worker.install.no_join", lang))
    file = settings.home / f"{name}.toml"
    variables = settings.home / f"{name}.env"
    # Proxies may be named with a password, so they are no part of the unit, which all can read.
    environ = {
        name: os.environ[name] for name in sorted(PASSED_ENVIRON - {"PATH"}) if os.environ.get(name)
    }
    command = [*_program(), "worker", "--home", str(settings.home), "--config", str(file)]
    user = pwd.getpwuid(os.geteuid()).pw_name
    if init == "launchd":
        folder = Path.home() / "Library/LaunchAgents" if is_user else Path("/Library/LaunchDaemons")
        unit = folder / f"{name}.plist"
        unit_text = _plist(name, command, settings.home / f"{name}.log", environ)
        start = [["launchctl", "load", "-w", str(unit)]]
        stop, forget = [["launchctl", "unload", "-w", str(unit)]], []
    else:
        unit = _unit_folder(is_user) / f"{name}.service"
        unit_text = worker_unit(
            command,
            mark=MARK,
            variables=variables if environ else None,
            is_user=is_user,
            stop_limit_s=STOP_LIMIT_S,
        )
        systemctl = ["systemctl", *(["--user"] if is_user else [])]
        start = [[*systemctl, "daemon-reload"], [*systemctl, "enable", "--now", unit.name]]
        if is_user:  # else it ends when its user signs out, and waits for the user after a boot
            start.append(["loginctl", "enable-linger", user])
        stop = [[*systemctl, verb, unit.name] for verb in ("stop", "disable")]
        forget = [[*systemctl, "daemon-reload"]]
    return Service(
        name=name,
        init=init,
        is_user=is_user,
        unit=unit,
        unit_text=unit_text,
        settings=file,
        table=_table(settings),
        variables=variables,
        environ=environ if init == "systemd" else {},
        start=start,
        stop=stop,
        forget=forget,
    )


def settings_text(service: Service) -> str:
    """Return what the settings file says, with what is secret left out."""
    shown = {
        name: MASK if name in SECRETS | {"worker.join"} else value
        for name, value in service.table.items()
    }
    if "repositories" in shown:
        shown["repositories"] = MASK
    return "".join(
        f"{name} = {msgspec.json.encode(value).decode()}\n" for name, value in shown.items()
    )


def install(service: Service) -> None:
    """Write the files of a service; what an earlier call wrote is replaced.

    Raises:
        ConfigError: They cannot be written, or a service of that name is not ours.
    """
    _refuse_foreign(service.unit)
    with usable(service.settings, "--home"):
        write_private(service.settings, service.table)
        if service.environ:
            write_variables(service.variables, service.environ)
    with usable(service.unit, "--user"):
        service.unit.parent.mkdir(parents=True, exist_ok=True)
        service.unit.write_text(service.unit_text, encoding="utf-8")
        # launchd's file has the variables in it, and is read by its owner's launchd only.
        service.unit.chmod(0o600 if service.init == "launchd" else 0o644)


def uninstall(service: Service) -> list[ConfigError]:
    """Stop a service and remove what `install` has written; return what could not be run.

    The home stays: the worker's id and keys are in it.

    Raises:
        ConfigError: The files cannot be removed, or a service of that name is not ours.
    """
    _refuse_foreign(service.unit)
    faults: list[ConfigError] = []

    def attempt(commands: list[list[str]]) -> None:
        try:
            act(commands)
        except ConfigError as error:  # no reason to keep the files: it may not even run
            faults.append(error)

    for command in service.stop:
        attempt([command])
    with usable(service.unit, "--user"):
        service.unit.unlink(missing_ok=True)
        service.settings.unlink(missing_ok=True)
        service.variables.unlink(missing_ok=True)
    attempt(service.forget)
    return faults


def act(commands: list[list[str]]) -> None:
    """Run commands one after the other.

    Raises:
        ConfigError: One could not be run or failed; it says which, and its own words.
    """
    for command in commands:
        told = " ".join(command)
        try:
            done = subprocess.run(
                command, capture_output=True, text=True, timeout=_COMMAND_TIMEOUT_S, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            reason = (isinstance(error, OSError) and error.strerror) or str(error)
            raise ConfigError(source=told, reason=reason) from error
        if done.returncode != 0:
            said = (done.stderr or done.stdout).strip().splitlines()
            raise ConfigError(source=told, reason=said[-1] if said else f"exit {done.returncode}")


def _refuse_foreign(unit: Path) -> None:
    try:
        written = unit.read_text("utf-8")
    except FileNotFoundError:
        return
    except (OSError, UnicodeError) as error:
        reason = (isinstance(error, OSError) and error.strerror) or str(error)
        raise ConfigError(source=str(unit), reason=reason) from error
    if MARK not in written:
        raise SettingError(source=str(unit), reason="not ours", fault="foreign_unit")


def _program() -> list[str]:
    """Return what runs this very installation, wherever it is called from."""
    beside = Path(sys.executable).parent / "zscrape"
    return [str(beside)] if beside.is_file() else [sys.executable, "-P", "-m", "zscrape"]


def _unit_folder(is_user: bool) -> Path:
    if not is_user:
        return Path("/etc/systemd/system")
    told = os.environ.get("XDG_CONFIG_HOME", "")
    return (Path(told) if told.startswith("/") else Path.home() / ".config") / "systemd/user"


def _table(settings: Settings) -> dict[str, Any]:
    """Return every setting that somebody has given and that a worker reads, by dotted name."""
    table: dict[str, Any] = {}
    for setting in settings_known():
        section, _, leaf = setting.name.rpartition(".")
        if section in ("gateway", "queue") or setting.name == "home":
            continue
        if settings.sources.get(setting.name, "default") == "default":
            continue
        value = getattr(getattr(settings, section) if section else settings, leaf)
        table[setting.name] = str(value) if isinstance(value, Path) else value
    if settings.sources.get("repositories", "default") != "default":
        # Inline tables are where TOML is not spelled as JSON is.
        listed = ", ".join(map(_inline, settings.repositories))
        table["repositories"] = msgspec.Raw(f"[{listed}]".encode())
    return table


def _inline(repository: RepositorySettings) -> str:
    given = {
        field.name: value
        for field in msgspec.structs.fields(repository)
        if (value := getattr(repository, field.name)) != field.default or field.name == "type"
    }
    pairs = [f"{name} = {msgspec.json.encode(value).decode()}" for name, value in given.items()]
    return "{" + ", ".join(pairs) + "}"


def write_variables(path: Path, environ: Mapping[str, str]) -> None:
    """Write variables for systemd, for their owner only."""
    lines = [f"{name}={msgspec.json.encode(value).decode()}\n" for name, value in environ.items()]
    draft = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.writelines(lines)
        draft.replace(path)
    finally:
        draft.unlink(missing_ok=True)


def _plist(name: str, command: list[str], log: Path, environ: Mapping[str, str]) -> str:
    content = {
        "Label": name,
        "ProgramArguments": command,
        "RunAtLoad": True,
        # Started again when it fails; a worker that was drained has ended as it should.
        "KeepAlive": {"SuccessfulExit": False},
        "ThrottleInterval": 5,
        "ExitTimeOut": STOP_LIMIT_S,
        "StandardOutPath": str(log),
        "StandardErrorPath": str(log),
        "Umask": 0o077,
        "EnvironmentVariables": dict(environ),
    }
    told = plistlib.dumps(content, sort_keys=False).decode()
    head, _, rest = told.partition("<plist")
    return f"{head}<!-- {MARK}. -->\n<plist{rest}"
