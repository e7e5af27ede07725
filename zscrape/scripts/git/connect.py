"""The other side of a Git repository: reached with credentials, time limits and clear reasons."""

from __future__ import annotations

import shlex
import socket
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any, Final
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import urllib3
from dulwich.client import (
    GitClient,
    HTTPUnauthorized,
    SSHGitClient,
    SubprocessSSHVendor,
    TraditionalGitClient,
    get_transport_and_path,
)
from dulwich.errors import GitProtocolError, HangupException, NotGitRepository

from zscrape.config import RepositorySettings
from zscrape.errors.scripts import RepositoryUnavailable
from zscrape.scripts.redirects import REDIRECT_LIMIT_COUNT, RedirectGuard, RedirectRefused

# What hosts take as the user beside a token: GitHub this, GitLab anything.
_TOKEN_USER: Final = "x-access-token"  # noqa: S105 - a name, no secret
_RETRIES: Final = 2
_REASON_LENGTH: Final = 300


class _Guard:
    """Lets redirects pass as the guard says; remembers answers, of which dulwich closes a few."""

    def __init__(self, *words: Any, guard: RedirectGuard, **options: Any) -> None:
        super().__init__(*words, **options)
        self.guard = guard
        self.answers: list[Any] = []
        self._schemes: list[str] = []  # of the redirects under way

    def urlopen(self, method: str, url: str, redirect: bool = True, **more: Any) -> Any:
        """Open an address; called again by urllib3 for each redirect, inside the call before."""
        scheme = urlsplit(url).scheme
        if self._schemes[-1:] == ["https"] and scheme == "http":
            raise RedirectRefused("it redirects from https to http")
        self.guard.check(url)
        self._schemes.append(scheme)
        try:
            answer = super().urlopen(method, url, redirect, **more)  # type: ignore[misc]
        finally:
            self._schemes.pop()
        self.answers.append(answer)
        return answer


class _Direct(_Guard, urllib3.PoolManager):  # type: ignore[misc]
    """Connections of our own, each looked at before anything is asked over it."""

    def __init__(self, base_url: str, **options: Any) -> None:
        super().__init__(**options)
        home = urlsplit(base_url).hostname or ""
        self.pool_classes_by_scheme = {
            scheme: _watching(kind, self.guard, home)
            for scheme, kind in self.pool_classes_by_scheme.items()
        }


class _Proxied(_Guard, urllib3.ProxyManager):  # type: ignore[misc]
    """Connections through the proxy of the environment."""


def _watching(kind: Any, guard: RedirectGuard, home: str) -> Any:
    """Return a class of pools whose connections end at once when they lead astray.

    A name may get another address between the guard's look and ours (DNS rebinding), so that
    what counts is whom we are connected to. The repository's own host is not judged.
    """

    class Connection(kind.ConnectionCls):  # type: ignore[misc]
        def connect(self) -> None:
            super().connect()
            if self.host == home:
                return
            try:
                guard.check_peer(self.host, str(self.sock.getpeername()[0]))
            except RedirectRefused:
                self.close()
                raise

    class Pool(kind):  # type: ignore[misc]
        ConnectionCls = Connection

    return Pool


class _Ssh(SubprocessSSHVendor):
    """Remembers the processes that it starts: dulwich leaves those that have failed."""

    def __init__(self) -> None:
        self._started: list[Any] = []

    def run_command(self, *words: Any, **more: Any) -> Any:
        """Start ssh."""
        started = super().run_command(*words, **more)
        self._started.append(started)
        return started

    def close(self) -> None:
        """End what is left, and its pipes."""
        for started in self._started:
            with suppress(GitProtocolError, OSError):
                started.close(timeout=5)


class _Streams:
    """Remembers the streams that a client opens: dulwich leaves those that were refused."""

    def __init__(self) -> None:
        self._opened: list[Any] = []

    def follow(self, client: GitClient) -> None:
        """Remember what `client` opens from now on; over HTTP that is nothing."""
        if not isinstance(client, TraditionalGitClient):
            return
        connect = client._connect  # noqa: SLF001 - the hook of every transport

        def remembering(*words: Any, **more: Any) -> Any:
            found = connect(*words, **more)
            self._opened.append(found[0])
            return found

        client._connect = remembering  # type: ignore[method-assign]  # noqa: SLF001

    def close(self) -> None:
        """Close what is left."""
        for stream in self._opened:
            with suppress(GitProtocolError, OSError):
                stream.close()


class Remote:
    """One remote repository. Its methods block: they belong into a thread, one at a time."""

    def __init__(self, settings: RepositorySettings) -> None:
        self._settings = settings
        self._pool: _Direct | _Proxied | None = None

    @contextmanager
    def open(self) -> Iterator[tuple[GitClient, str]]:
        """Give a client and the path to ask it for; what goes wrong inside gets its reason.

        Raises:
            RepositoryUnavailable: The other side cannot be reached, or refuses.
        """
        settings = self._settings
        ssh, streams = _Ssh(), _Streams()
        try:
            client, path = get_transport_and_path(
                settings.url,
                username=self._user(),
                password=settings.token or settings.password,
                pool_manager=self._pool_of(settings.url),
                ssh_command=self._ssh_command(),
            )
            if isinstance(client, SSHGitClient):
                client.ssh_vendor = ssh
            streams.follow(client)
            yield client, path
        except RepositoryUnavailable:
            raise
        except Exception as error:
            reason = self._reason(error)
            if reason is None:
                raise
            raise RepositoryUnavailable(
                repository=settings.name, reason=f"{settings.url}: {reason}"
            ) from error
        finally:
            ssh.close()
            streams.close()
            if self._pool is not None:
                for answer in self._pool.answers:
                    answer.close()
                self._pool.answers.clear()

    def close(self) -> None:
        """Let go of connections."""
        if self._pool is not None:
            self._pool.clear()

    def _user(self) -> str | None:
        settings = self._settings
        if urlsplit(settings.url).scheme not in {"http", "https"}:
            return None
        return settings.user or (_TOKEN_USER if settings.token else None)

    def _pool_of(self, url: str) -> _Direct | _Proxied | None:
        """Return the pool of connections; ours, since dulwich multiplies its time limits."""
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"}:
            return None
        if self._pool is None:
            options: dict[str, Any] = {
                "timeout": urllib3.Timeout(self._settings.timeout_s),
                "retries": urllib3.Retry(
                    total=None,
                    connect=_RETRIES,
                    read=0,
                    redirect=REDIRECT_LIMIT_COUNT,
                    status=_RETRIES,
                    status_forcelist=(429, 502, 503, 504),
                    allowed_methods=("GET",),
                    backoff_factor=0.2,
                    raise_on_status=False,
                ),
                "ssl_context": ssl.create_default_context(),
                "headers": {"User-Agent": "git/2.40 (zscrape)"},  # hosts look for `git/`
                "guard": RedirectGuard(url, self._settings.redirect_allow),
            }
            proxy = getproxies().get(parts.scheme)
            if proxy and not proxy_bypass(parts.hostname or ""):
                self._pool = _Proxied(proxy, **options)
            else:
                self._pool = _Direct(url, **options)
        return self._pool

    def _ssh_command(self) -> str:
        settings = self._settings
        words = [
            "ssh",
            "-o",
            "BatchMode=yes",
            "-o",
            f"ConnectTimeout={int(settings.timeout_s) + 1}",
        ]
        words += ["-o", "ServerAliveInterval=10", "-o", "ServerAliveCountMax=3"]
        if settings.ssh_key:
            words += ["-i", settings.ssh_key, "-o", "IdentitiesOnly=yes"]
        if settings.ssh_known_hosts:
            words += ["-o", f"UserKnownHostsFile={settings.ssh_known_hosts}"]
        return shlex.join(words)

    def _reason(self, error: Exception) -> str | None:
        """Return what people are told of an error; None: it is none of the other side's."""
        cause = _root_of(error)
        told: str | None = None
        if isinstance(cause, RedirectRefused):
            told = str(cause)
        elif isinstance(error, HTTPUnauthorized):
            has_login = self._settings.token or self._settings.password
            step = "check `token`" if has_login else "set `token`, or `user` and `password`"
            told = f"the server wants other credentials (401): {step}"
        elif isinstance(error, NotGitRepository):
            told = "there is no Git repository, or these credentials may not see it"
        elif isinstance(cause, socket.gaierror):
            told = "the host's name cannot be resolved"
        elif isinstance(cause, TimeoutError | urllib3.exceptions.TimeoutError):
            told = f"no answer within {self._settings.timeout_s:g} s"
        elif isinstance(error, HangupException):
            lines = b" ".join(error.stderr_lines or []).decode("utf-8", "replace")
            told = self._shortened(lines.strip() or "the connection was closed")
        elif isinstance(error, FileNotFoundError) and error.filename == "ssh":
            told = "the program `ssh` is not installed (Debian: openssh-client)"
        elif isinstance(error, GitProtocolError | OSError | subprocess.SubprocessError):
            told = self._shortened(str(cause) or str(error) or type(error).__name__)
        elif isinstance(error, AssertionError | ValueError | EOFError):
            # What dulwich raises for nonsense from the other side has many types.
            told = self._shortened(f"not an answer of a Git server ({error!r})")
        return told

    def _shortened(self, told: str) -> str:
        for secret in (self._settings.token, self._settings.password):
            if secret:
                told = told.replace(secret, "********")
        return " ".join(told.split())[:_REASON_LENGTH]


def _root_of(error: BaseException) -> BaseException:
    """Return the first cause: libraries wrap what the system said again and again."""
    seen = error
    for _ in range(10):
        inner = seen.__cause__ or getattr(seen, "reason", None) or seen.__context__
        if not isinstance(inner, BaseException):
            return seen
        seen = inner
    return seen
