"""`up`, `gateway` and `worker`: the verbs that stay."""

from __future__ import annotations

import gc
import os
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from zscrape.cli import manner
from zscrape.cli.terminal import Terminal
from zscrape.cli.verbs import (
    FAILED,
    OK,
    Family,
    Flag,
    UsageFault,
    common_options,
    config_option,
    home_option,
    verb,
)
from zscrape.onuse import on_use
from zscrape.putoff import put_off

if TYPE_CHECKING:
    import asyncio

    from zscrape.config import Settings
    from zscrape.gateway.serve import Ready as GatewayReady
    from zscrape.ops.ahead import Ahead
    from zscrape.ops.role import Role
    from zscrape.ops.systemd import Systemd
    from zscrape.worker.serve import Ready as WorkerReady
else:
    asyncio = on_use("asyncio")  # who asks a gateway has no loop

# What libraries import, and a gateway or a worker needs for some of its work, or never: packed
# archives, folders as a whole. JSON is not among them: a library that takes a name from
# `json.decoder` before `json` has run would find that module half made.
_PUT_OFF: Final = ("bz2", "lzma", "shutil", "sysconfig")
# New objects between two looks at them; the default is 700. A gateway has ten for each call until
# it is written, 0.2 s later: to look at those finds nothing and holds up all calls for 5 ms.
_YOUNG_COUNT: Final = 50_000
_TIED = click.Option(["--tied"], is_flag=True, hidden=True)

for _name in _PUT_OFF:
    put_off(_name)


def _listen_options() -> list[click.Parameter]:
    return [
        Flag(["--http"], help="cli.option.http"),
        Flag(["--link"], help="cli.option.link"),
        Flag(
            ["--scripts"],
            multiple=True,
            type=click.Path(path_type=Path, file_okay=False),
            help="cli.option.scripts",
        ),
        Flag(["--insecure"], is_flag=True, default=None, help="cli.option.insecure"),
    ]


def _slot_options() -> list[click.Parameter]:
    return [
        Flag(["--slots"], type=int, help="cli.option.slots"),
        Flag(["--tag", "tags"], multiple=True, help="cli.option.tag"),
        Flag(["--network"], help="cli.option.network"),
        Flag(["--network-allow"], multiple=True, help="cli.option.network_allow"),
    ]


def read_settings(config_file: Path | None, **flags: Any) -> Settings:
    """Return the settings, and speak the language that they say.

    Args:
        config_file: What `--config` names.
        flags: Flags by setting, a dot written as two underscores: `gateway__http`.
    """
    from zscrape.config import load

    given = {name.replace("__", "."): value for name, value in flags.items() if value != ()}
    settings = load(flags=given | {"lang": manner.current().asked_lang}, file=config_file)
    manner.change(lang=settings.lang)
    return settings


def _gateway_settings(config_file: Path | None, values: dict[str, Any]) -> Settings:
    from zscrape.config import refuse_open_bind, usable

    settings = read_settings(
        config_file,
        home=values["home"],
        gateway__http=values["http"],
        gateway__link=values["link"],
        gateway__insecure=values["insecure"],
        repositories=values["scripts"],
    )
    refuse_open_bind(settings.gateway)
    for repository in settings.repositories:
        if settings.sources["repositories"] == "default":
            with usable(settings.home, "--home"):
                Path(repository.url).mkdir(parents=True, exist_ok=True)
    return settings


def _begin(terminal: Terminal, settings: Settings, *, is_tied: bool) -> None:
    """Do what comes before anything that serves, and before its threads."""
    from zscrape import log, machine
    from zscrape.messages import text
    from zscrape.ops.role import end_with_parent

    machine.share_heaps()
    log.configure(
        json=not sys.stderr.isatty(),
        lang=settings.lang,
        verbose=terminal.is_verbose,
        words=text,
    )
    if is_tied:
        end_with_parent()


def _run(serving: Coroutine[Any, Any, int], systemd: Systemd) -> int:
    with asyncio.Runner(loop_factory=_loop_factory()) as runner:
        return runner.run(systemd.watch(serving))


def _systemd() -> Systemd:
    """Return the service manager that has started this process, if one has."""
    from zscrape.ops.systemd import Systemd

    return Systemd.take(os.environ)


def _loop_factory() -> Callable[[], asyncio.AbstractEventLoop] | None:
    """Return uvloop's, where there is one: twice the link's rate (measured)."""
    try:
        import uvloop
    except ImportError:  # not made for this platform
        return None
    factory: Callable[[], asyncio.AbstractEventLoop] = uvloop.new_event_loop
    return factory


def _say_ready(terminal: Terminal, **told: object) -> None:
    if terminal.is_json:
        terminal.line({"event": "ready", **told})
    else:
        told_pairs = " ".join(f"{name}={value}" for name, value in told.items())
        terminal.plain(f"{click.style('ready', fg='green', bold=True)} {told_pairs}")
    sys.stdout.flush()


def _rest() -> None:
    """Let go of what only the start has needed, and have the collector look no more at the rest.

    Modules and tables are there for as long as the process is. Looking at them again and again
    was a tenth of a gateway's time under load (perf, 16 calls in flight).
    """
    from zscrape import log, startpages

    try:
        startpages.let_go()
    except OSError as error:  # costs memory, and nothing else
        log.get_logger().debug("start_kept", reason=str(error))
    gc.collect()
    gc.freeze()


def _rest_gateway() -> None:
    """Have the collector also look more seldom at what a gateway holds."""
    _rest()
    gc.set_threshold(_YOUNG_COUNT)


def _hint(terminal: Terminal, key: str, **fields: object) -> None:
    """Help a person along; where standard error is a file, it holds the log and nothing else."""
    if sys.stderr.isatty():
        terminal.note(key, **fields)


def _invite(terminal: Terminal, url: str) -> None:
    """Show a person where to go on: the last thing that is said, and the one that stands out."""
    if sys.stderr.isatty() and not terminal.is_json:
        click.secho(terminal.words("cli.up.open", url=url), err=True, bold=True)


@verb("gateway", *_listen_options(), home_option(), config_option(), _TIED)
def gateway(terminal: Terminal, config_file: Path | None, tied: bool, **values: Any) -> int:
    """Run a gateway until it is told to stop."""
    settings = _gateway_settings(config_file, values)
    _begin(terminal, settings, is_tied=tied)
    systemd = _systemd()
    from zscrape.gateway.serve import serve

    def on_ready(ready: GatewayReady) -> None:
        systemd.ready(f"http={ready.http} link={ready.link}")
        _say_ready(terminal, http=ready.http, link=ready.link)
        _hint(terminal, "cli.gateway.ready", key_path=ready.key_path, link=ready.link)
        _hint(terminal, "cli.gateway.dashboard", url=ready.dashboard)
        _rest_gateway()

    async def serving() -> int:
        await serve(settings, on_ready=on_ready, on_stopping=systemd.stopping)
        return OK

    return _run(serving(), systemd)


def join_options() -> list[click.Parameter]:
    """Options of a worker that joins a gateway."""
    return [Flag(["--join"], help="cli.option.join"), *_slot_options()]


def read_worker_settings(
    *,
    config_file: Path | None,
    home: Path | None,
    join: str | None = None,
    slots: int | None = None,
    tags: tuple[str, ...] = (),
    network: str | None = None,
    network_allow: tuple[str, ...] = (),
) -> Settings:
    """Return a worker's settings, and speak the language that they say."""
    return read_settings(
        config_file,
        home=home,
        worker__join=join,
        worker__slots=slots,
        worker__tags=tags,
        worker__network=network,
        worker__network_allow=network_allow,
    )


def _run_worker(terminal: Terminal, *, tied: bool, **values: Any) -> int:
    """Run a worker until it is told to stop, or is drained."""
    settings = read_worker_settings(**values)
    _begin(terminal, settings, is_tied=tied)
    systemd = _systemd()
    from zscrape.worker.serve import Tellers, serve

    def on_dialling() -> None:
        # Started, though no gateway may be there yet: it would be no use to start it again.
        systemd.ready("dialling")

    def on_ready(ready: WorkerReady) -> None:
        systemd.status(f"joined as {ready.worker_id} with {ready.slots} slots")
        _say_ready(terminal, worker_id=ready.worker_id, slots=ready.slots, link=ready.link)
        _rest()

    _hint(terminal, "cli.worker.dialling", link=settings.worker.join)
    return _run(serve(settings, Tellers(on_ready, on_dialling, systemd.stopping)), systemd)


@click.pass_context
def _worker(ctx: click.Context, /, **values: Any) -> int:
    """Run a worker, unless one of its verbs is asked for.

    Raises:
        UsageFault: Options stand before that verb, where they would mean nothing.
    """
    if ctx.invoked_subcommand is None:
        return _run_worker(Terminal.now(), **values)
    source = click.core.ParameterSource.COMMANDLINE
    early = [name for name in values if ctx.get_parameter_source(name) is source]
    if early:
        names = [p.opts[0] for p in ctx.command.params if p.name in early]
        raise UsageFault("cli.usage.early", option=names[0], name=ctx.invoked_subcommand, ctx=ctx)
    return OK


worker = Family(
    "worker",
    help="cli.worker",
    lazy={
        "install": "zscrape.cli.service:install",
        "uninstall": "zscrape.cli.service:uninstall",
    },
    params=[*join_options(), home_option(), config_option(), _TIED, *common_options()],
    callback=_worker,
    invoke_without_command=True,
)


@verb("up", *_listen_options(), *_slot_options(), home_option(), config_option(), _TIED)
def up(
    terminal: Terminal,
    slots: int | None,
    tags: tuple[str, ...],
    network: str | None,
    network_allow: tuple[str, ...],
    config_file: Path | None,
    tied: bool,
    **values: Any,
) -> int:
    """Run a gateway here and one worker as its child, until told to stop."""
    from zscrape.ops.ahead import Ahead

    systemd = _systemd()
    root = click.get_current_context().find_root().command
    ahead = Ahead.fork(root.main, "zscrape.worker.serve")  # before there is anything to hide
    settings = _with_samples(_gateway_settings(config_file, values))
    _begin(terminal, settings, is_tied=tied)
    arguments = ["--home", str(settings.home)]
    arguments += ["--config", str(config_file)] if config_file else []
    arguments += ["--slots", str(slots)] if slots is not None else []
    arguments += [part for tag in tags for part in ("--tag", tag)]
    arguments += ["--network", network] if network else []
    arguments += [part for each in network_allow for part in ("--network-allow", each)]
    return _run(_up(terminal, settings, arguments, systemd, ahead), systemd)


def _with_samples(settings: Settings) -> Settings:
    """Return settings with the sample scripts at hand, where nobody has said where scripts are.

    They come last: a script of one's own with the same name is the one that runs.
    """
    from msgspec.structs import replace

    from zscrape.config.settings import RepositorySettings
    from zscrape.ops.samples import samples_folder

    if settings.sources["repositories"] != "default":
        return settings
    samples = RepositorySettings(type="dir", url=str(samples_folder()), name="samples")
    return replace(settings, repositories=(*settings.repositories, samples))


async def _up(
    terminal: Terminal,
    settings: Settings,
    arguments: list[str],
    systemd: Systemd,
    ahead: Ahead | None,
) -> int:
    from zscrape.gateway.serve import serve
    from zscrape.ops.role import Role, RoleError

    roles: list[Role] = []
    watching: list[asyncio.Task[None]] = []
    failures: list[str] = []
    serving: asyncio.Task[None]

    async def watch(role: Role, gateway: GatewayReady) -> None:
        """Tell when the whole is ready; a gateway whose only worker has ended is of no use."""
        try:
            worker = await asyncio.to_thread(role.wait_ready)
            systemd.ready(f"http={gateway.http} link={gateway.link}")
            _say_ready(terminal, http=gateway.http, link=gateway.link)
            _hint(terminal, "cli.gateway.ready", key_path=gateway.key_path, link=gateway.link)
            _hint(terminal, "cli.up.scripts", folder=settings.repositories[0].url)
            _hint(terminal, "cli.up.worker", worker_id=worker["worker_id"], slots=worker["slots"])
            _hint(terminal, "cli.up.next")
            _invite(terminal, gateway.dashboard)
            _rest_gateway()
            await asyncio.to_thread(role.wait)
            failures.append(terminal.words("cli.up.worker_ended"))
        except RoleError as error:
            failures.append(terminal.words(error.text_key, **error.fields))
        finally:
            serving.cancel()

    def on_ready(ready: GatewayReady) -> None:
        role = Role(
            "worker",
            ["--join", ready.link, *arguments, *_spoken(terminal)],
            shares_errors=True,
            ahead=ahead,
        )
        roles.append(role)
        watching.append(asyncio.create_task(watch(role, ready)))

    serving = asyncio.create_task(serve(settings, on_ready=on_ready, on_stopping=systemd.stopping))
    try:
        await serving
    except asyncio.CancelledError:
        if not failures:
            raise
        terminal.refuse("role_failed", failures[0])
        return FAILED
    finally:
        for role in roles:
            await asyncio.to_thread(role.stop)
        await asyncio.gather(*watching, return_exceptions=True)
    return OK


def _spoken(terminal: Terminal) -> list[str]:
    return ["--lang", terminal.lang, *(["--verbose"] if terminal.is_verbose else [])]
