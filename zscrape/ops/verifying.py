"""Check the bytes and the signatures of scripts: in a folder, or as repositories hold them.

Repositories are read anew, past the caches of any gateway: what is verified is what is there
now. Nothing of a running gateway is touched, so it makes no difference whether one runs.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from pathlib import Path

from msgspec import Struct

from zscrape.config import Settings
from zscrape.errors import ScriptError
from zscrape.errors.scripts import RepositoryUnavailable, ScriptNotFound, VersionNotFound
from zscrape.messages import text
from zscrape.ops.checking import examine_script
from zscrape.ops.onelook import open_anew
from zscrape.scripts.digest import tree_digest
from zscrape.scripts.problems import Problem, told
from zscrape.scripts.repository import Repository
from zscrape.scripts.script import Script, build_script
from zscrape.scripts.trust import Trust
from zscrape.scripts.version import VersionRequest, newest_first


class Verdict(Struct, frozen=True):
    """What was found of one version. `code` and `reason` are empty when it is valid."""

    name: str
    version: str
    repository: str
    digest: str = ""
    has_checksums: bool = False
    signature: str = ""  # valid, unsigned, unknown_key; empty when that was not reached
    key_id: str = ""
    key_name: str = ""
    code: str = ""
    reason: str = ""
    problems: list[Problem] = []

    @property
    def is_valid(self) -> bool:
        """True iff nothing speaks against running it."""
        return not self.code


async def verify_folder(path: Path, trust: Trust, *, lang: str) -> Verdict:
    """Verify the script in a folder.

    Raises:
        ScriptNotFound: There is nothing.
    """
    try:
        return _valid(await examine_script(path, trust), str(path))
    except ScriptNotFound:
        raise
    except ScriptError as error:
        return _refused(path.name, "", str(path), error, lang)


async def verify_repositories(
    settings: Settings, targets: Sequence[str], trust: Trust, *, lang: str
) -> AsyncGenerator[Verdict, None]:
    """Verify what the repositories of the settings hold, one version after the other.

    Args:
        settings: Which repositories.
        targets: `NAME` for every version of a script, `NAME@VERSION` for one; empty: everything.
        trust: Whose signatures count, and whether there must be one.
        lang: Language of the reasons.

    Raises:
        ScriptNotFound, VersionNotFound, VersionInvalid: A target is not there.
        ConfigError: A repository cannot be opened.
    """
    async with open_anew(settings) as (repositories, _cache):
        for target in targets:
            async for verdict in _verify_target(repositories, target, trust, lang):
                yield verdict
        if not targets:
            for repository in repositories:
                async for verdict in _verify_all(repository, trust, lang):
                    yield verdict


async def _verify_all(repository: Repository, trust: Trust, lang: str) -> AsyncIterator[Verdict]:
    try:
        names = await repository.names()
    except RepositoryUnavailable as error:
        yield _refused("", "", repository.name, error, lang)
        return
    for name in names:
        async for verdict in _verify_name(repository, name, trust, lang):
            yield verdict


async def _verify_name(
    repository: Repository, name: str, trust: Trust, lang: str
) -> AsyncIterator[Verdict]:
    try:
        versions = await repository.versions(name)
    except ScriptError as error:
        yield _refused(name, "", repository.name, error, lang)
        return
    for version in versions:
        yield await _verify(repository, name, version, trust, lang)


async def _verify_target(
    repositories: Sequence[Repository], target: str, trust: Trust, lang: str
) -> AsyncIterator[Verdict]:
    name, _, asked = target.partition("@")
    request = VersionRequest.parse(asked) if asked else None
    is_found = False
    for repository in repositories:
        try:
            versions = await repository.versions(name)
        except ScriptError as error:
            is_found = True
            yield _refused(name, "", repository.name, error, lang)
            continue
        is_found = is_found or bool(versions)
        if request is None:
            for version in versions:
                yield await _verify(repository, name, version, trust, lang)
        elif versions:
            chosen = await _chosen(repository, name, versions, request)
            yield await _verify(repository, name, chosen, trust, lang)
            return  # the first that has the name is the one that a request means
    if not is_found:
        raise ScriptNotFound(name=name)


async def _chosen(
    repository: Repository, name: str, versions: Sequence[str], request: VersionRequest
) -> str:
    """Return the version that a request means.

    Raises:
        VersionNotFound: None of them does.
    """
    if request.kind == "digest":
        for version in versions:
            if tree_digest(await repository.fetch(name, version)) == request.text:
                return version
    chosen = request.choose(versions, await repository.channels(name))
    if chosen is None:
        available = ", ".join(newest_first(versions)[:5])
        raise VersionNotFound(name=name, requested=request.text, available=available)
    return chosen


async def _verify(
    repository: Repository, name: str, version: str, trust: Trust, lang: str
) -> Verdict:
    try:
        files = await repository.fetch(name, version)
        script = build_script(repository.name, name, version, files, trust=trust)
    except ScriptError as error:
        return _refused(name, version, repository.name, error, lang)
    return _valid(script, repository.name)


def _valid(script: Script, repository: str) -> Verdict:
    return Verdict(
        name=script.pin.name,
        version=script.pin.version,
        repository=repository,
        digest=script.pin.digest,
        has_checksums=script.manifest.checksums is not None,
        signature=script.verification.status,
        key_id=script.verification.key_id,
        key_name=script.verification.name,
    )


def _refused(name: str, version: str, repository: str, error: ScriptError, lang: str) -> Verdict:
    return Verdict(
        name=name,
        version=version,
        repository=repository,
        code=error.code,
        reason=text(error.text_key, lang, **error.fields),
        problems=told(getattr(error, "problems", ()), lang),
    )
