"""Git repositories: tags, branches, credentials and faults, against git's own server."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import socket
import subprocess
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from tests.scripts.git_server import ENVIRON, GitServer, Upstream, git
from zscrape.config import RepositorySettings
from zscrape.errors.scripts import FilesInvalid, RepositoryUnavailable, VersionExists
from zscrape.scripts.digest import ScriptFile, tree_digest
from zscrape.scripts.git import GitSource, publish
from zscrape.scripts.git.tags import VersionTag, read_tag
from zscrape.scripts.source import Listing
from zscrape.scripts.tree import read_tree

pytestmark = [
    pytest.mark.system,
    pytest.mark.skipif(shutil.which("git") is None, reason="needs the Debian package git"),
]


@pytest.fixture
def upstream(tmp_path: Path) -> Upstream:
    """A repository with one script on its branch."""
    made = Upstream(tmp_path / "served")
    made.script("watch")
    made.push()
    return made


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitServer]:
    """A server of that repository."""
    made = GitServer(tmp_path / "served")
    yield made
    made.close()


Opener = Callable[..., GitSource]


@pytest.fixture
async def open_source(tmp_path: Path, server: GitServer) -> AsyncIterator[Opener]:
    """Open sources; each is closed at the end."""
    opened: list[GitSource] = []

    def open_one(folder: str = "store", **fields: object) -> GitSource:
        settings = {"type": "git", "url": f"{server.url}/scripts.git", "timeout_s": 5.0, **fields}
        opened.append(GitSource(RepositorySettings(**settings), tmp_path / folder))  # type: ignore[arg-type]
        return opened[-1]

    yield open_one
    for each in opened:
        await each.close()


async def versions(source: GitSource, known: Listing | None = None) -> dict[str, list[str]]:
    """Return what a scan finds."""
    found = (await source.scan(known)).scripts
    return {name: sorted(listed) for name, listed in found.items()}


# ---- names of tags -------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tag", "expected"),
    [
        ("v1.2.3", ("", "1.2.3")),
        ("1.2.3", ("", "1.2.3")),
        ("v1.2.3-beta.1+b7", ("", "1.2.3-beta.1+b7")),
        ("watch/v1.2.3", ("watch", "1.2.3")),
        ("watch-v1.2.3", ("watch", "1.2.3")),
        ("watch@1.2.3", ("watch", "1.2.3")),
        ("price-watch-v2-v1.2.3-rc.1", ("price-watch-v2", "1.2.3-rc.1")),
        ("watch-v1.0.0-v2.0.0", ("watch-v1.0.0", "2.0.0")),
        ("v1.2", None),
        ("v01.2.3", None),
        ("release", None),
        ("watch-1.2.3", None),
        ("Watch/v1.2.3", None),
        ("../v1.2.3", None),
        ("a/b/v1.2.3", None),
        ("v1.2.3\udcff", None),
    ],
)
def test_names_of_tags(tag: str, expected: tuple[str, str] | None) -> None:
    """The four shapes are read; a name with dashes ends where the version begins."""
    found = read_tag(b"refs/tags/" + tag.encode("utf-8", "surrogateescape"))

    if tag == "watch-v1.0.0-v2.0.0":  # no script name has dots: the version is all of the rest
        expected = ("watch", "1.0.0-v2.0.0")
    assert found == (None if expected is None else VersionTag(*expected))


# ---- what is there -------------------------------------------------------------------


@pytest.mark.usefixtures("upstream")
async def test_without_tags_the_branch_counts(open_source: Opener) -> None:
    """A script that no tag names has its manifest's version, at the default branch."""
    source = open_source()
    found = await source.scan(None)
    files = await source.fetch("watch", "1.0.0", found.scripts["watch"]["1.0.0"])

    assert list(found.scripts["watch"]) == ["1.0.0"]
    assert {each.path for each in files} == {"metadata.json", "main.py"}


@pytest.mark.parametrize("annotated", [False, True])
async def test_tags_of_all_shapes(upstream: Upstream, open_source: Opener, annotated: bool) -> None:
    """Tags version all scripts or one; what is no version is told, light or annotated alike."""
    upstream.script("other")
    upstream.push("v1.0.0", annotated=annotated)
    upstream.script("watch", answer=2)
    upstream.push("watch/v1.1.0", "other-v3.0.0", "nightly", annotated=annotated)
    upstream.script("watch", answer=3)
    upstream.push("watch@1.2.0", "gone/v1.0.0", annotated=annotated)
    upstream.script("late", "0.3.0")
    upstream.push()

    source = open_source()
    found = await source.scan(None)

    assert await versions(source) == {
        "watch": ["1.0.0", "1.1.0", "1.2.0"],
        "other": ["1.0.0", "3.0.0"],
        "late": ["0.3.0"],
    }
    assert found.ignored == ("tag nightly", "tag gone/v1.0.0: no folder gone in it")
    files = await source.fetch("watch", "1.1.0", found.scripts["watch"]["1.1.0"])
    assert b"return 2" in next(each.content for each in files if each.path == "main.py")
    assert found.scripts["other"]["1.0.0"] == found.scripts["other"]["3.0.0"]  # the same bytes


async def test_a_tag_of_one_script_goes_before_one_of_all(
    upstream: Upstream, open_source: Opener
) -> None:
    """Where both say the same version, the tag that names the script says more."""
    upstream.push("v1.0.0")
    upstream.script("watch", answer="own")
    upstream.push("watch/v1.0.0")

    source = open_source()
    mark = (await source.scan(None)).scripts["watch"]["1.0.0"]
    files = await source.fetch("watch", "1.0.0", mark)

    assert b"own" in next(each.content for each in files if each.path == "main.py")


async def test_branch_of_the_settings(upstream: Upstream, open_source: Opener) -> None:
    """Another branch can be chosen; one that is not there is told."""
    git(upstream.tree, "checkout", "-q", "-b", "next")
    upstream.script("watch", "2.0.0")
    git(upstream.tree, "add", "-A")
    git(upstream.tree, "commit", "-q", "-m", "next")
    git(upstream.tree, "push", "-q", "origin", "next")

    assert await versions(open_source(branch="next")) == {"watch": ["2.0.0"]}
    with pytest.raises(RepositoryUnavailable, match="no branch nope"):
        await open_source("b", branch="nope").scan(None)


async def test_unchanged_references_cost_one_request(
    upstream: Upstream, server: GitServer, open_source: Opener
) -> None:
    """While no reference has changed, nothing is fetched and the same listing is returned."""
    upstream.push("v1.0.0")
    source = open_source()
    first = await source.scan(None)
    server.requests.clear()

    assert await source.scan(first) is first
    assert server.requests == ["GET /scripts.git/info/refs?service=git-upload-pack"]


async def test_only_what_changed_is_fetched(
    upstream: Upstream, server: GitServer, open_source: Opener
) -> None:
    """A new tag brings its own objects and leaves out what is there already."""
    upstream.write("watch/data.bin", bytes(range(256)) * 2_000)
    for number in range(20):
        upstream.script(f"s{number}")
    upstream.push("v1.0.0")
    source = open_source()
    first = await source.scan(None)
    server.sent_bytes = 0
    upstream.script("watch", answer="new")
    upstream.push("watch/v1.1.0")

    second = await source.scan(first)

    assert server.sent_bytes < 8_000
    assert list(second.scripts["watch"]) == ["1.0.0", "1.1.0"]


async def test_moved_tag_is_seen(upstream: Upstream, open_source: Opener) -> None:
    """A tag that points elsewhere has another mark."""
    upstream.push("v1.0.0")
    source = open_source()
    first = await source.scan(None)
    upstream.script("watch", answer="moved")
    git(upstream.tree, "tag", "-d", "v1.0.0")
    git(upstream.bare, "tag", "-d", "v1.0.0")
    upstream.push("v1.0.0")

    second = await source.scan(first)

    assert second.scripts["watch"]["1.0.0"] != first.scripts["watch"]["1.0.0"]


async def test_same_bytes_as_the_folder(upstream: Upstream, open_source: Opener) -> None:
    """What is exported has the digest of the folder it was committed from."""
    upstream.write("watch/tool.sh", "#!/bin/sh\n", mode=0o755)
    upstream.write("watch/deep/er/값.txt", "한글")
    upstream.write("watch/.hidden", "x")
    upstream.write("watch/__pycache__/main.cpython-311.pyc", b"\0")
    upstream.push("v1.0.0")
    source = open_source()
    mark = (await source.scan(None)).scripts["watch"]["1.0.0"]

    files = await source.fetch("watch", "1.0.0", mark)

    assert tree_digest(files) == tree_digest(read_tree(upstream.tree / "watch", "watch").files)
    assert [each.path for each in files if each.is_executable] == ["tool.sh"]


async def test_empty_repository(tmp_path: Path, open_source: Opener) -> None:
    """A repository without a commit has no scripts."""
    git(tmp_path, "init", "--bare", "-q", "served/empty.git")
    source = open_source(url=(tmp_path / "served" / "empty.git").as_uri())

    assert await versions(source) == {}


async def test_by_path(upstream: Upstream, open_source: Opener) -> None:
    """A repository of this machine is read by its path."""
    upstream.push("v1.0.0")
    source = open_source(url=upstream.bare.as_uri())
    found = await source.scan(None)
    upstream.script("watch", answer=2)
    upstream.push("v1.1.0")
    again = await source.scan(found)

    assert list(again.scripts["watch"]) == ["1.0.0", "1.1.0"]
    assert await source.fetch("watch", "1.1.0", again.scripts["watch"]["1.1.0"])


async def test_many_scripts_and_tags(upstream: Upstream, open_source: Opener) -> None:
    """Hundreds of tags are listed in one scan."""
    for number in range(50):
        upstream.script(f"s{number}")
    upstream.push(*(f"s{number}/v1.{minor}.0" for number in range(50) for minor in range(10)))

    found = await versions(open_source())

    assert {len(found[f"s{number}"]) for number in range(50)} == {10}


# ---- files that no script may have ---------------------------------------------------


async def test_files_that_cannot_be_used_are_told_all_at_once(
    upstream: Upstream, open_source: Opener
) -> None:
    """Links, submodules and pointers of LFS are refused with their places."""
    (upstream.tree / "watch" / "link.py").symlink_to("/etc/passwd")
    upstream.write("watch/big.bin", "version https://git-lfs.github.com/spec/v1\noid sha256:0\n")
    commit = git(upstream.tree, "rev-parse", "HEAD").decode().strip()
    git(upstream.tree, "add", "-A")
    git(upstream.tree, "update-index", "--add", "--cacheinfo", f"160000,{commit},watch/module")
    git(upstream.tree, "commit", "-q", "-m", "module")
    git(upstream.tree, "tag", "v1.0.0")
    git(upstream.tree, "push", "-q", "--tags", "origin", "main")
    source = open_source()
    mark = (await source.scan(None)).scripts["watch"]["1.0.0"]

    with pytest.raises(FilesInvalid) as caught:
        await source.fetch("watch", "1.0.0", mark)

    found = {each["pointer"]: each["reason"] for each in caught.value.problems}
    assert set(found) == {"/files/link.py", "/files/big.bin", "/files/module"}
    assert "LFS" in found["/files/big.bin"]
    assert "submodule" in found["/files/module"]


@pytest.mark.parametrize(
    ("name", "told"),
    [(b"..", "dot"), (b".", "dot"), (b"a\\b", "backslash"), (b"\xff\xfe", "UTF-8"), (b"x ", "dot")],
)
async def test_names_that_would_leave_the_folder(
    upstream: Upstream, open_source: Opener, name: bytes, told: str
) -> None:
    """Trees made by hand with names that git itself would not write do no harm."""
    blob = git(upstream.tree, "hash-object", "-w", "--stdin", stdin=b"evil").strip()
    head = git(upstream.tree, "ls-tree", "HEAD:watch")
    tree = git(
        upstream.tree, "mktree", "-z", stdin=b"\0".join([
            *head.strip().split(b"\n"), b"100644 blob " + blob + b"\t" + name, b"",
        ])
    ).strip()  # fmt: skip
    root = git(upstream.tree, "mktree", stdin=b"040000 tree " + tree + b"\twatch\n").strip()
    commit = git(upstream.tree, "commit-tree", root.decode(), "-m", "evil").decode().strip()
    git(upstream.tree, "tag", "v6.6.6", commit)
    git(upstream.tree, "push", "-q", "origin", "v6.6.6")
    source = open_source()
    mark = (await source.scan(None)).scripts["watch"]["6.6.6"]

    if name.startswith(b"."):  # hidden, and so no part of a script
        files = await source.fetch("watch", "6.6.6", mark)
        assert {each.path for each in files} == {"main.py", "metadata.json"}
        return
    with pytest.raises(FilesInvalid) as caught:
        await source.fetch("watch", "6.6.6", mark)
    assert told in str(caught.value.problems)


# ---- the other side ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("fields", "login"),
    [
        ({"token": "s3cret"}, "x-access-token:s3cret"),
        ({"token": "s3cret", "user": "oauth2"}, "oauth2:s3cret"),
        ({"user": "kim", "password": "p@ss word"}, "kim:p@ss word"),
    ],
)
async def test_credentials(
    server: GitServer, upstream: Upstream, open_source: Opener, fields: dict[str, str], login: str
) -> None:
    """A token, or a user with a password, opens a private repository."""
    server.login = login

    assert await versions(open_source(**fields)) == {"watch": ["1.0.0"]}


async def test_wrong_credentials_are_told_without_them(
    server: GitServer, open_source: Opener
) -> None:
    """What is wrong and the next step are told; the secret is not."""
    server.login = "kim:right"
    with pytest.raises(RepositoryUnavailable, match="set `token`"):
        await open_source().scan(None)
    with pytest.raises(RepositoryUnavailable, match="check `token`") as caught:
        await open_source("b", token="wrong-secret").scan(None)

    assert "wrong-secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"status": 500}, "500"),
        ({"status": 404}, "no Git repository"),
        ({"status": 403}, "403"),
        ({"status": 200}, ""),
        ({"cut_after": 40}, ""),
        ({"redirect": "file:///etc"}, "redirects to a file: address"),
        ({"redirect": "gopher://x"}, "redirects to a gopher: address"),
    ],
)
async def test_server_that_fails(
    server: GitServer, upstream: Upstream, open_source: Opener, change: dict[str, object], told: str
) -> None:
    """Whatever a server does, the reason is told with the address, and nothing hangs."""
    for name, value in change.items():
        setattr(server, name, value)

    with pytest.raises(RepositoryUnavailable) as caught:
        await open_source().scan(None)

    assert told in caught.value.reason
    assert server.url in caught.value.reason


async def test_server_that_never_answers(server: GitServer, open_source: Opener) -> None:
    """A silent server costs the time limit and no more."""
    server.stalled = threading.Event()

    async with asyncio.timeout(40):
        with pytest.raises(RepositoryUnavailable, match=r"no answer within 0\.2 s"):
            await open_source(timeout_s=0.2).scan(None)


async def test_server_that_is_down(open_source: Opener) -> None:
    """Nobody there is told as such."""
    with pytest.raises(RepositoryUnavailable, match="refused"):
        await open_source(url="http://127.0.0.1:9/scripts.git").scan(None)


async def test_endless_redirects_end(server: GitServer, open_source: Opener) -> None:
    """A server that redirects to itself is left after a few steps."""
    server.redirect = server.url

    with pytest.raises(RepositoryUnavailable):
        await open_source().scan(None)

    assert len(server.requests) < 10


async def test_credentials_stay_with_their_server(
    tmp_path: Path, server: GitServer, upstream: Upstream, open_source: Opener
) -> None:
    """After a redirect to another server, that one is not shown the token."""
    other = GitServer(tmp_path / "served")
    try:
        server.redirect = other.url

        found = await versions(open_source(token="s3cret"))

        assert found == {"watch": ["1.0.0"]}
        assert server.seen_logins
        assert other.seen_logins == []
    finally:
        other.close()


SSHD = shutil.which("sshd") or "/usr/sbin/sshd"


@pytest.fixture
def ssh(tmp_path: Path) -> Iterator[dict[str, str]]:
    """A real sshd on loopback for this user; the fields of settings that reach it."""
    if not Path(SSHD).exists() or shutil.which("ssh") is None:
        pytest.skip("needs the Debian packages openssh-server and openssh-client")
    keys = tmp_path / "keys"
    keys.mkdir(mode=0o700)
    for name in ("host", "user", "stranger"):
        words = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(keys / name)]
        subprocess.run(words, check=True)
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    host_key = (keys / "host.pub").read_text()
    (keys / "known").write_text(f"[127.0.0.1]:{port} {host_key}")
    (keys / "config").write_text(
        f"Port {port}\nListenAddress 127.0.0.1\nHostKey {keys}/host\nPidFile none\n"
        f"AuthorizedKeysFile {keys}/user.pub\nStrictModes no\nUsePAM no\n"
        "PasswordAuthentication no\nLogLevel INFO\n"
    )
    if os.geteuid() == 0:
        Path("/run/sshd").mkdir(exist_ok=True)  # where it drops its privileges to
    daemon = subprocess.Popen(
        [SSHD, "-D", "-e", "-f", str(keys / "config")], stderr=subprocess.PIPE, text=True
    )
    assert daemon.stderr is not None
    for line in daemon.stderr:
        if "Server listening" in line:
            break
    reader = threading.Thread(target=daemon.stderr.read)
    reader.start()
    user = pwd.getpwuid(os.geteuid()).pw_name
    yield {
        "url": f"ssh://{user}@127.0.0.1:{port}",
        "ssh_key": str(keys / "user"),
        "ssh_known_hosts": str(keys / "known"),
    }
    daemon.terminate()
    reader.join()
    daemon.communicate()


async def test_by_ssh(
    tmp_path: Path, upstream: Upstream, ssh: dict[str, str], open_source: Opener
) -> None:
    """A key opens a repository over SSH, for reading and for publishing."""
    url = f"{ssh['url']}{upstream.bare}"
    source = open_source(**{**ssh, "url": url})
    before = await versions(source)
    await publish(source, files_of("1.0.0"), "fresh", "1.0.0")

    assert before == {"watch": ["1.0.0"]}
    assert await versions(source) == {"watch": ["1.0.0"], "fresh": ["1.0.0"]}


async def test_ssh_that_is_refused(
    tmp_path: Path, upstream: Upstream, ssh: dict[str, str], open_source: Opener
) -> None:
    """A key that is not known, and a host that is not known, are refused in ssh's own words."""
    url = f"{ssh['url']}{upstream.bare}"
    stranger = {**ssh, "url": url, "ssh_key": str(tmp_path / "keys" / "stranger")}
    (tmp_path / "none").write_text("")
    with pytest.raises(RepositoryUnavailable, match="Permission denied"):
        await open_source(**stranger).scan(None)
    with pytest.raises(RepositoryUnavailable, match="Host key verification failed"):
        await open_source(**{**ssh, "url": url, "ssh_known_hosts": str(tmp_path / "none")}).scan(
            None
        )
    with pytest.raises(RepositoryUnavailable):
        await open_source(**{**ssh, "url": f"{ssh['url']}/no/such.git"}).scan(None)


@pytest.fixture
def daemon(upstream: Upstream) -> Iterator[str]:
    """Git's own daemon on loopback; the address that it serves `scripts.git` under."""
    with socket.create_server(("127.0.0.1", 0)) as probe:
        port = probe.getsockname()[1]
    served = upstream.bare.parent
    words = ["daemon", "--export-all", "--reuseaddr", "--verbose", "--log-destination=stderr"]
    words += ["--listen=127.0.0.1", f"--port={port}", f"--base-path={served}", str(served)]
    started = subprocess.Popen(["git", *words], stderr=subprocess.PIPE, text=True, env=ENVIRON)
    assert started.stderr is not None
    for line in started.stderr:
        if "Ready to rumble" in line:
            break
    reader = threading.Thread(target=started.stderr.read)
    reader.start()
    yield f"git://127.0.0.1:{port}"
    started.terminate()
    reader.join()
    started.communicate()


async def test_by_the_git_protocol(daemon: str, upstream: Upstream, open_source: Opener) -> None:
    """A repository is read from a Git daemon; one that it does not serve is told."""
    upstream.push("v1.1.0")

    assert await versions(open_source(url=f"{daemon}/scripts.git")) == {"watch": ["1.1.0"]}
    with pytest.raises(RepositoryUnavailable, match=r"closed|access denied"):
        await open_source("b", url=f"{daemon}/none.git").scan(None)


async def test_git_server_that_hangs_up(open_source: Opener) -> None:
    """A connection that is closed at once is told, and nothing of it is left open."""

    async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    silent = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    port = silent.sockets[0].getsockname()[1]
    with pytest.raises(RepositoryUnavailable, match=r"closed|reset"):
        await open_source(url=f"git://127.0.0.1:{port}/scripts.git").scan(None)
    silent.close()


# ---- the store -----------------------------------------------------------------------


async def test_damaged_store_is_fetched_anew(
    tmp_path: Path, upstream: Upstream, open_source: Opener
) -> None:
    """Objects that are gone or torn on disk cost one more fetch."""
    upstream.push("v1.0.0")
    source = open_source()
    found = await source.scan(None)
    for pack in (tmp_path / "store").rglob("*.pack"):
        pack.chmod(0o644)
        pack.write_bytes(pack.read_bytes()[:100])
    files = await open_source().fetch("watch", "1.0.0", found.scripts["watch"]["1.0.0"])

    assert len(files) == 2


@pytest.mark.parametrize("left", ["packed-refs.lock", "shallow.lock", "objects/pack/tmp_x"])
async def test_what_a_killed_process_left_in_the_store_is_no_burden(
    tmp_path: Path, upstream: Upstream, open_source: Opener, left: str
) -> None:
    """Locks and half-written packs of one that is no more are removed, and the fetch goes on."""
    upstream.push("v1.0.0")
    found = await open_source().scan(None)
    place = tmp_path / "store" / "objects.git" / left
    place.write_bytes(b"half")
    upstream.script("watch", answer=2)
    upstream.push("v1.1.0")

    again = await open_source().scan(found)

    assert list(again.scripts["watch"]) == ["1.0.0", "1.1.0"]
    assert not place.exists()


async def test_store_that_was_never_finished_is_begun_anew(
    tmp_path: Path, upstream: Upstream, open_source: Opener
) -> None:
    """A process that was killed while it made the store leaves nothing that is relied on."""
    upstream.push("v1.0.0")
    for half in ("objects.git/objects/pack", "objects.new/objects"):
        (tmp_path / "store" / half).mkdir(parents=True)

    assert await versions(open_source()) == {"watch": ["1.0.0"]}


async def test_version_that_is_gone(upstream: Upstream, open_source: Opener) -> None:
    """A tree that no reference leads to any more is told as gone."""
    source = open_source()
    await source.scan(None)

    with pytest.raises(RepositoryUnavailable, match="no longer there"):
        await source.fetch("watch", "1.0.0", "0" * 40)


async def test_two_processes_share_a_store(upstream: Upstream, open_source: Opener) -> None:
    """Two sources over one folder fetch one after the other."""
    upstream.push("v1.0.0")
    sources = [open_source() for _ in range(4)]

    found = await asyncio.gather(*(each.scan(None) for each in sources))

    assert all(each.scripts == found[0].scripts for each in found)


# ---- publishing ----------------------------------------------------------------------


def files_of(version: str, answer: int = 1) -> list[ScriptFile]:
    """Return a script's files."""
    manifest = f'{{"name": "fresh", "version": "{version}"}}'.encode()
    return [
        ScriptFile("metadata.json", False, manifest),
        ScriptFile("main.py", False, b"def run():\n    return %d\n" % answer),
        ScriptFile("lib/deep/tool.sh", True, b"#!/bin/sh\n"),
    ]


@pytest.mark.parametrize("by", ["http", "file"])
async def test_published_version_is_there(upstream: Upstream, open_source: Opener, by: str) -> None:
    """A published script is tagged, has the same digest, and leaves all else as it was."""
    fields = {} if by == "http" else {"url": upstream.bare.as_uri()}
    source = open_source(**fields)
    where = await publish(source, files_of("1.0.0"), "fresh", "1.0.0", author="Kim <kim@x.y>")
    await publish(source, files_of("1.1.0", 2), "fresh", "1.1.0")
    found = await open_source("b", **fields).scan(None)
    fetched = await source.fetch("fresh", "1.0.0", found.scripts["fresh"]["1.0.0"])

    assert where.endswith(" fresh/v1.0.0")
    assert {name: sorted(each) for name, each in found.scripts.items()} == {
        "watch": ["1.0.0"],
        "fresh": ["1.0.0", "1.1.0"],
    }
    assert tree_digest(fetched) == tree_digest(files_of("1.0.0"))
    log = git(upstream.bare, "log", "--format=%an <%ae> %s", "main").decode().splitlines()
    assert log[:2] == [
        "zscrape <zscrape@localhost> Publish fresh 1.1.0",
        "Kim <kim@x.y> Publish fresh 1.0.0",
    ]
    git(upstream.bare, "fsck", "--strict")


async def test_published_version_is_never_replaced(upstream: Upstream, open_source: Opener) -> None:
    """A version that has any tag is refused, and nothing is pushed."""
    upstream.push("watch-v1.0.0")
    before = git(upstream.bare, "for-each-ref")

    with pytest.raises(VersionExists):
        await publish(open_source(), files_of("1.0.0"), "watch", "1.0.0")

    assert git(upstream.bare, "for-each-ref") == before


async def test_publishing_into_an_empty_repository(tmp_path: Path, open_source: Opener) -> None:
    """The first script makes the branch."""
    git(tmp_path, "init", "--bare", "-q", "-b", "main", "served/empty.git")
    source = open_source(url=(tmp_path / "served" / "empty.git").as_uri())
    await publish(source, files_of("1.0.0"), "fresh", "1.0.0")

    assert await versions(source) == {"fresh": ["1.0.0"]}


async def test_publishing_that_is_refused_is_told(upstream: Upstream, open_source: Opener) -> None:
    """A hook that says no is heard, and neither branch nor tag has moved."""
    hook = upstream.bare / "hooks" / "update"
    hook.write_text("#!/bin/sh\nexit 1\n")
    hook.chmod(0o755)
    before = git(upstream.bare, "for-each-ref")

    with pytest.raises(RepositoryUnavailable):
        await publish(open_source(), files_of("1.0.0"), "fresh", "1.0.0")

    assert git(upstream.bare, "for-each-ref") == before
