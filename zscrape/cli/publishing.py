"""`scripts publish sign verify cleanup`."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING

import click

from zscrape.cli.run import is_path
from zscrape.cli.serving import read_settings
from zscrape.cli.terminal import Terminal
from zscrape.cli.verbs import (
    FAILED,
    OK,
    SOME_FAILED,
    Flag,
    UsageFault,
    config_option,
    home_option,
    verb,
)

if TYPE_CHECKING:
    from zscrape.ops.publishing import Published
    from zscrape.ops.verifying import Verdict
    from zscrape.scripts.script import Script

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


@verb(
    "verify",
    click.Argument(["targets"], nargs=-1),
    Flag(["--strict"], is_flag=True, help="cli.option.strict"),
    home_option(),
    config_option(),
    help_key="cli.scripts.verify",
)
def verify(
    terminal: Terminal,
    targets: tuple[str, ...],
    strict: bool,
    home: Path | None,
    config_file: Path | None,
) -> int:
    """Check bytes and signatures of scripts."""
    settings = read_settings(config_file, home=home)
    terminal = Terminal.now()
    from zscrape.ops.verifying import verify_folder, verify_repositories
    from zscrape.scripts.trusted import trust_of

    trust = trust_of(settings, is_required=strict or settings.require_signature)

    async def verify_all() -> list[Verdict]:
        found = [
            await verify_folder(Path(each), trust, lang=terminal.lang)
            for each in targets
            if is_path(each)
        ]
        names = [each for each in targets if not is_path(each)]
        if names or not targets:
            asked = verify_repositories(settings, names, trust, lang=terminal.lang)
            found += [each async for each in asked]
        return found

    verdicts = asyncio.run(verify_all())
    failed_count = sum(not each.is_valid for each in verdicts)
    if terminal.is_json:
        terminal.answer({"ok": failed_count == 0, "scripts": verdicts})
    else:
        _tell_verdicts(terminal, verdicts, failed_count)
    if failed_count == 0:
        return OK
    return FAILED if failed_count == len(verdicts) else SOME_FAILED


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


@verb(
    "cleanup",
    Flag(
        ["--older-than", "older_than_h"],
        type=click.FloatRange(min=0),
        metavar="HOURS",
        help="cli.option.older_than",
    ),
    _DRY_RUN,
    home_option(),
    config_option(),
    help_key="cli.scripts.cleanup",
)
def cleanup(
    terminal: Terminal,
    older_than_h: float | None,
    is_dry_run: bool,
    home: Path | None,
    config_file: Path | None,
) -> int:
    """Remove scripts that nobody has used for long from the cache."""
    settings = read_settings(config_file, home=home)
    terminal = Terminal.now()
    from zscrape.ops.cleaning import clean_cache

    cleaned = asyncio.run(clean_cache(settings, older_than_h=older_than_h, is_dry_run=is_dry_run))
    if terminal.is_json:
        terminal.answer(cleaned)
        return OK
    for each in cleaned.removed:
        terminal.say("cli.cleanup.removed", digest=each.digest, size_bytes=each.size_bytes)
    terminal.note(
        "cli.cleanup.dry" if is_dry_run else "cli.cleanup.done",
        count=cleaned.removed_count,
        size_bytes=cleaned.removed_bytes,
        kept_count=cleaned.kept_count,
        cache=cleaned.cache,
    )
    return OK
