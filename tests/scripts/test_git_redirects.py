"""Where a Git server may send us: judged by name, by scheme, and by who answers."""

from __future__ import annotations

import shutil
import ssl
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.scripts.git_server import GitServer, Upstream
from zscrape.config import RepositorySettings
from zscrape.errors.scripts import RepositoryUnavailable
from zscrape.scripts import redirects
from zscrape.scripts.git import GitSource

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(shutil.which("git") is None, reason="needs the Debian package git"),
]

Opener = Callable[[str], GitSource]
PUBLIC = "93.184.216.34"


@pytest.fixture
def served(tmp_path: Path) -> Path:
    """A folder with one repository, `scripts.git`, that has the script `watch`."""
    made = Upstream(tmp_path / "served")
    made.script("watch")
    made.push()
    return tmp_path / "served"


@contextmanager
def serving(
    root: Path, host: str = "127.0.0.1", context: ssl.SSLContext | None = None
) -> Iterator[GitServer]:
    """Serve the repositories below a folder while inside."""
    made = GitServer(root, host=host, context=context)
    try:
        yield made
    finally:
        made.close()


@pytest.fixture
def server(served: Path) -> Iterator[GitServer]:
    """A server of that repository."""
    with serving(served) as made:
        yield made


@pytest.fixture
async def open_source(tmp_path: Path) -> AsyncIterator[Opener]:
    """Open the repository of a server's address; each is closed at the end."""
    opened: list[GitSource] = []

    def open_one(url: str) -> GitSource:
        settings = RepositorySettings(type="git", url=f"{url}/scripts.git", timeout_s=5.0)
        opened.append(GitSource(settings, tmp_path / f"store-{len(opened)}"))
        return opened[-1]

    yield open_one
    for each in opened:
        await each.close()


async def reason(source: GitSource) -> str:
    """Return why a scan fails."""
    with pytest.raises(RepositoryUnavailable) as caught:
        await source.scan(None)
    return caught.value.reason


def judge_as(monkeypatch: pytest.MonkeyPatch, **addresses: str) -> None:
    """Let names be judged by these addresses; connections still go where the system says."""
    real = redirects.resolve
    known = {name.replace("_", "."): address for name, address in addresses.items()}
    monkeypatch.setattr(
        redirects, "resolve", lambda host: [known[host]] if host in known else real(host)
    )


async def test_a_public_repository_leads_nowhere_private(
    monkeypatch: pytest.MonkeyPatch, served: Path, server: GitServer, open_source: Opener
) -> None:
    """A redirect from a public host to a private address is refused before it is asked."""
    judge_as(monkeypatch, localhost=PUBLIC)
    with serving(served, "127.0.0.2") as inside:
        server.redirect = f"http://127.0.0.2:{inside.port}"

        found = await reason(open_source(f"http://localhost:{server.port}"))

        assert "127.0.0.2, which is a private address" in found
        assert inside.requests == []


async def test_a_name_that_changes_its_address_is_not_believed(
    monkeypatch: pytest.MonkeyPatch, served: Path, server: GitServer, open_source: Opener
) -> None:
    """A name that was public when it was judged leads inside: the connection ends unused."""
    judge_as(monkeypatch, localhost=PUBLIC, **{"127_0_0_2": PUBLIC})
    with serving(served, "127.0.0.2") as inside:
        server.redirect = f"http://127.0.0.2:{inside.port}"

        found = await reason(open_source(f"http://localhost:{server.port}"))

        assert "127.0.0.2, which is a private address" in found
        assert inside.requests == []


async def test_inside_one_may_lead_on_inside(
    served: Path, server: GitServer, open_source: Opener
) -> None:
    """A repository that stands inside itself may redirect to another host inside."""
    with serving(served, "127.0.0.2") as inside:
        server.redirect = f"http://127.0.0.2:{inside.port}"

        found = await open_source(server.url).scan(None)

        assert list(found.scripts) == ["watch"]


async def test_from_https_there_is_no_way_to_http(
    monkeypatch: pytest.MonkeyPatch,
    certificate: Path,
    served: Path,
    server: GitServer,
    open_source: Opener,
) -> None:
    """Not from the base, and not from a step on the way; https itself is taken."""
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    with serving(served, context=context) as secure, serving(served) as plain:
        straight = await open_source(secure.url).scan(None)
        server.redirect = secure.url
        upwards = await open_source(server.url).scan(None)
        secure.redirect = plain.url
        from_base = await reason(open_source(secure.url))
        on_the_way = await reason(open_source(server.url))

        assert list(straight.scripts) == list(upwards.scripts) == ["watch"]
        assert "from https to http" in from_base
        assert "from https to http" in on_the_way
        assert plain.requests == []
