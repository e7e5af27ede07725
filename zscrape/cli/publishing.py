"""`scripts publish sign verify cleanup`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zscrape.cli.operational import operational
from zscrape.cli.run import is_path
from zscrape.cli.serving import read_settings
from zscrape.cli.terminal import Terminal
from zscrape.cli.verbs import (
    OK,
    Flag,
    UsageFault,
    config_option,
    home_option,
    verb,
)

if TYPE_CHECKING:
    from zscrape.client import Document
    from zscrape.config import Settings
    from zscrape.ops.operation import Operation
    from zscrape.ops.publishing import Published
    from zscrape.ops.verifying import Verdict
    from zscrape.scripts.script import Script
    from zscrape.scripts.trust import Trust

_FILE = click.Path(path_type=Path, dir_okay=False)
_KEY = Flag(["--key", "key_path"], type=_FILE, help="cli.option.signing_key")
_DRY_RUN = Flag(["--dry-run", "is_dry_run"], is_flag=True, help="cli.option.dry_run")
_FOLDERS = click.Argument(["folders"], nargs=-1, type=click.Path(path_type=Path))


@verb(
    "publish",
    click.Argument(["folder"], type=click.Path(path_type=Path)),
    Flag(["--to"], help="cli.option.to"),
    _KEY,
    _DRY_RUN,
    home_option(),
    config_option(),
    help_key="cli.scripts.publish",
)
def publish(
    terminal: Terminal,
    folder: Path,
    to: str | None,
    key_path: Path | None,
    is_dry_run: bool,
    home: Path | None,
    config_file: Path | None,
) -> int:
    """Put a version of a script into a repository."""
    settings = read_settings(config_file, home=home)
    terminal = Terminal.now()
    from zscrape.ops.publishing import publish_script
    from zscrape.scripts.signing import read_private_key

    def tell(step: str, script: Script) -> None:
        if step == "checked" and not is_dry_run:
            pin = script.pin
            terminal.note(
                "cli.publish.checked", name=pin.name, version=pin.version, digest=pin.digest
            )

    key = None if key_path is None else read_private_key(key_path)
    published = asyncio.run(
        publish_script(folder, settings, to=to, key=key, is_dry_run=is_dry_run, on_step=tell)
    )
    if terminal.is_json:
        terminal.answer(published)
    else:
        _tell_published(terminal, published)
    return OK


def _tell_published(terminal: Terminal, published: Published) -> None:
    terminal.say(
        "cli.publish.dry" if published.is_dry_run else "cli.publish.done",
        name=published.name,
        version=published.version,
        repository=published.repository,
    )
    told = {
        "digest": published.digest,
        "place": published.place,
        "signed_by": published.key_id,
        "files": published.file_count,
    }
    terminal.facts([(terminal.words(f"cli.fact.{name}"), told[name]) for name in told])
    if not published.is_dry_run:
        terminal.note("cli.publish.next")


@verb(
    "sign",
    _FOLDERS,
    _KEY,
    Flag(["--new-key", "makes_key"], is_flag=True, help="cli.option.new_key"),
    help_key="cli.scripts.sign",
)
def sign(
    terminal: Terminal, folders: tuple[Path, ...], key_path: Path | None, makes_key: bool
) -> int:
    """Sign scripts, and make the key for it."""
    if key_path is None:
        raise UsageFault("cli.usage.new_key", ctx=click.get_current_context())
    if not folders and not makes_key:
        raise UsageFault("cli.usage.nothing_to_sign", ctx=click.get_current_context())
    from zscrape.ops.publishing import sign_folder
    from zscrape.scripts.signing import new_key_pair, read_private_key

    public_path = None
    if makes_key:
        key, public_path = new_key_pair(key_path)
        terminal.note("cli.sign.new_key", key_id=key.id, private=key_path, public=public_path)
    else:
        key = read_private_key(key_path)
    signed = []
    for folder in folders:
        one = sign_folder(folder, key)
        signed.append(one)
        terminal.say(
            "cli.sign.done",
            name=one.name,
            version=one.version,
            key_id=one.key_id,
            files=one.file_count,
            path=one.path,
        )
    if terminal.is_json:
        terminal.answer({"key_id": key.id, "public_key": public_path, "signed": signed})
    return OK


@operational(
    "verify",
    click.Argument(["targets"], nargs=-1),
    Flag(["--strict"], is_flag=True, help="cli.option.strict"),
    home_option(),
    config_option(),
    help_key="cli.scripts.verify",
    script="scripts verify",
)
def verify(
    terminal: Terminal,
    operation: Operation,
    *,
    targets: tuple[str, ...],
    strict: bool,
    home: Path | None,
    config_file: Path | None,
) -> Document:
    """Check bytes and signatures of scripts."""
    settings = read_settings(config_file, home=home)
    terminal = Terminal.now()
    from zscrape.scripts.trusted import trust_of

    trust = trust_of(settings, is_required=strict or settings.require_signature)
    operation.begin(" ".join(sorted(targets)) or "all")
    verdicts = asyncio.run(_verify_all(operation, settings, targets, trust, terminal.lang))
    failed_count = operation.summary.failed_total
    if not terminal.is_json:
        _tell_verdicts(terminal, verdicts, failed_count)
    return {"ok": failed_count == 0, "scripts": verdicts}


async def _verify_all(
    operation: Operation, settings: Settings, targets: tuple[str, ...], trust: Trust, lang: str
) -> list[Verdict]:
    """Verify one version after the other, as long as the run may go on."""
    verdicts: list[Verdict] = []
    limit = operation.standard.limit
    try:
        async with asyncio.timeout(operation.left_s):
            async with aclosing(_verdicts(settings, targets, trust, lang)) as found:
                started = time.monotonic()
                async for verdict in found:
                    if operation.stops or len(verdicts) == limit:
                        break
                    verdicts.append(verdict)
                    operation.summary.targets_total += 1
                    operation.end(
                        _version_of(verdict),
                        "succeeded" if verdict.is_valid else "failed",
                        f"{verdict.code}: {verdict.reason}" if verdict.code else "",
                        elapsed_s=time.monotonic() - started,
                    )
                    started = time.monotonic()
    except TimeoutError:
        if not operation.stops:  # somebody else's, a repository's for one
            raise
    return verdicts


async def _verdicts(
    settings: Settings, targets: tuple[str, ...], trust: Trust, lang: str
) -> AsyncGenerator[Verdict, None]:
    from zscrape.ops.verifying import verify_folder, verify_repositories

    for each in targets:
        if is_path(each):
            yield await verify_folder(Path(each), trust, lang=lang)
    names = [each for each in targets if not is_path(each)]
    if names or not targets:
        async with aclosing(verify_repositories(settings, names, trust, lang=lang)) as found:
            async for verdict in found:
                yield verdict


def _version_of(verdict: Verdict) -> str:
    """Return what a version is called in summaries."""
    name = f"{verdict.name}@{verdict.version}" if verdict.version else verdict.name
    return name or verdict.repository


def _tell_verdicts(terminal: Terminal, verdicts: list[Verdict], failed_count: int) -> None:
    if not verdicts:
        terminal.note("cli.verify.none")
        return
    terminal.table(
        terminal.columns("name", "version", "repository", "checksums", "signature", "digest"),
        [
            [
                each.name,
                each.version,
                each.repository,
                terminal.words(f"cli.verify.{'yes' if each.has_checksums else 'no'}")
                if each.is_valid
                else "",
                _signature(terminal, each),
                each.digest[:19],
            ]
            for each in verdicts
        ],
    )
    for each in verdicts:
        if not each.is_valid:
            terminal.blame(f"{each.name} {each.version}: {each.reason}")
            for problem in each.problems:
                terminal.plain(f"   {problem['pointer']} {problem['reason']}")
    terminal.note("cli.verify.done", count=len(verdicts), failed_count=failed_count)


def _signature(terminal: Terminal, verdict: Verdict) -> str:
    if not verdict.is_valid:
        return terminal.words("cli.verify.invalid")
    name = verdict.key_name or verdict.key_id
    return terminal.words(f"cli.verify.{verdict.signature}", name=name)


@operational(
    "cleanup",
    Flag(
        ["--older-than", "older_than_h"],
        type=click.FloatRange(min=0),
        metavar="HOURS",
        help="cli.option.older_than",
    ),
    home_option(),
    config_option(),
    help_key="cli.scripts.cleanup",
    script="scripts cleanup",
)
def cleanup(
    terminal: Terminal,
    operation: Operation,
    *,
    older_than_h: float | None,
    home: Path | None,
    config_file: Path | None,
) -> Document:
    """Remove scripts that nobody has used for long from the cache."""
    import msgspec

    settings = read_settings(config_file, home=home)
    terminal = Terminal.now()
    from zscrape.ops.cleaning import clean_cache

    is_dry_run = operation.is_dry_run
    operation.begin(str(settings.cache_dir))
    cleaned = asyncio.run(
        clean_cache(
            settings,
            older_than_h=older_than_h,
            limit_count=operation.standard.limit,
            is_dry_run=is_dry_run,
        )
    )
    operation.summary.targets_total = cleaned.removed_count
    for each in cleaned.removed:
        operation.end(each.digest, size_bytes=each.size_bytes)
        terminal.say("cli.cleanup.removed", digest=each.digest, size_bytes=each.size_bytes)
    terminal.note(
        "cli.cleanup.dry" if is_dry_run else "cli.cleanup.done",
        count=cleaned.removed_count,
        size_bytes=cleaned.removed_bytes,
        kept_count=cleaned.kept_count,
        cache=cleaned.cache,
    )
    document: Document = msgspec.to_builtins(cleaned)
    return document
