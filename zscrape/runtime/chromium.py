"""Chromium as a process of an attempt: found, started in a fresh profile, ended.

It is spoken to through two pipes (`--remote-debugging-pipe`), never through a port: a port is
open to every user of the machine, and a script whose network policy is `public` may not connect
to its own machine. Chromium ends by itself when the pipes close, so it cannot outlive whoever
holds them.

One may be started ahead of the attempt, by the child that waits for it (`start_ahead`): a child
runs one attempt and ends, so what it started is never shared.

Standard library only.
"""

from __future__ import annotations

import os
import signal
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

# Set by the worker where its settings name a program.
PROGRAM_VARIABLE = "ZSCRAPE_BROWSER_PROGRAM"
# Set by the worker where children of the kit `browser` are to start one while they wait.
AHEAD_VARIABLE = "ZSCRAPE_BROWSER_AHEAD"
INSTALL_LINE = "apt-get install chromium"

_NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")
_FOLDERS = ("/usr/bin", "/usr/local/bin", "/bin", "/snap/bin", "/opt/google/chrome", "/opt/chrome")
# What a page that nobody looks at does not need, and what would go out by itself.
_FLAGS = (
    "--no-sandbox",  # ours is around it; its own needs rights that a script does not have
    "--no-first-run",
    "--no-default-browser-check",
    "--disable-gpu",
    "--disable-quic",  # datagrams pass the network policy by; HTTP/2 is held to it
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-sync",
    "--disable-breakpad",
    "--disable-client-side-phishing-detection",
    "--disable-domain-reliability",
    "--disable-search-engine-choice-screen",
    "--disable-dev-shm-usage",
    "--disable-features=Translate,MediaRouter,OptimizationHints,AutofillServerCommunication"
    # Its address bar draws pages of its own, a process more, before anybody types.
    ",WebUIOmniboxPopup,WebUIOmniboxAimPopup,WebUIOmniboxFullPopup"
    # After each page it starts a process for another site's page: most attempts have one site.
    ",SpareRendererForSitePerProcess"
    # It shares its own statistics between its processes, in memory that is files here: an
    # attempt has no memory without names (see `seccomp.py`).
    ",PersistentHistograms",
    "--metrics-recording-only",
    "--mute-audio",
    "--password-store=basic",
    "--use-mock-keychain",
    "--hide-scrollbars",
    # The pipe alone would set it; pydoll's own way, by a port, does not.
    "--disable-blink-features=AutomationControlled",
    "--remote-debugging-pipe",
)
# A whole browser with windows, drawn to no screen: it needs no display, and no attempt shares one.
_NO_SCREEN = ("--ozone-platform=headless", "--ozone-override-screen-size=1920,1080")
_DISPLAY_VARIABLE = "DISPLAY"
_NO_DISPLAY = "Missing X server"
_FIRST_PAGE = "about:blank"
_READ_AT, _WRITE_AT = 3, 4  # where Chromium looks for its pipes
_LIFTED_FROM = 10
_ERRORS_NAME = "stderr.log"
_ERRORS_TAIL_BYTES = 4000
_END_PATIENCE_S = 5.0
_END_LOOK_S = 0.01

# Set in processes whose scripts have the kit `browser`: only their limits let one run.
is_in_kit = False


class BrowserMissing(Exception):
    """Raised when no Chromium is to be found."""


class BrowserFailed(Exception):
    """Raised when Chromium cannot be started, or ends by itself; the text has its last words."""


def find_program() -> str:
    """Return the path of Chromium: the one that was named, on the PATH, or where it usually is.

    Raises:
        BrowserMissing: It is in none of these places.
    """
    named = os.environ.get(PROGRAM_VARIABLE, "")
    if named:
        if os.access(named, os.X_OK):
            return named
        raise BrowserMissing(f"{named} is not a program that can be run here")
    folders = [*os.environ.get("PATH", "").split(":"), *_FOLDERS]
    for name in _NAMES:
        for folder in folders:
            path = f"{folder}/{name}"
            if folder and os.access(path, os.X_OK):
                return path
    raise BrowserMissing(f"no Chromium is installed on this worker: {INSTALL_LINE}")


class Chromium:
    """One running browser with a profile of its own, and our ends of its pipes."""

    def __init__(self, pid: int, folder: str, read_fd: int, write_fd: int) -> None:
        self.pid = pid
        self.folder = folder
        self.read_fd = read_fd
        self.write_fd = write_fd
        self.status: int | None = None  # set once it has ended
        self._is_open = True

    def hang_up(self) -> None:
        """Close the pipes; it takes that as its end."""
        if self._is_open:
            self._is_open = False
            os.close(self.read_fd)
            os.close(self.write_fd)

    def is_over(self) -> bool:
        """True iff its process has ended."""
        if self.status is None:
            try:
                pid, status = os.waitpid(self.pid, os.WNOHANG)
            except ChildProcessError:  # somebody else has waited for it
                pid, status = self.pid, 0
            if pid:
                self.status = status
        return self.status is not None

    def kill(self) -> None:
        """End it by force, where this process may."""
        if not self.is_over():
            try:
                os.kill(self.pid, signal.SIGKILL)
            except PermissionError:  # started ahead: see `Sandbox.confine_ahead`
                return

    def last_words(self) -> str:
        """Return the end of what it wrote to its standard error."""
        path = f"{self.folder}/{_ERRORS_NAME}"
        try:
            with open(path, "rb") as file:  # noqa: PTH123 - pathlib is not loaded where children wait
                told = file.read()[-_ERRORS_TAIL_BYTES:]
        except OSError:
            return ""
        words = told.decode("utf-8", "replace").strip()
        if _NO_DISPLAY in words:
            named = os.environ.get(_DISPLAY_VARIABLE, "")
            return (
                f"no display answers at DISPLAY={named}: start one (Debian's package xvfb:"
                f" Xvfb {named}), let the script reach it, or unset DISPLAY, and none is needed"
            )
        return words

    def end(self) -> None:
        """Hang up and kill it. Nobody waits: a profile that is thrown away need not be saved."""
        self.hang_up()
        self.kill()
        _ended.append(self)

    def remove(self) -> None:
        """Wait until its process is gone, and remove its folder."""
        import shutil

        ends_at = time.monotonic() + _END_PATIENCE_S
        while not self.is_over() and time.monotonic() < ends_at:
            time.sleep(_END_LOOK_S)  # noqa: TID251 - a process of this script's own
        # Helpers of it may still write for a moment: what is left goes with the attempt.
        shutil.rmtree(self.folder, ignore_errors=True)


# What has been told to end, and is removed before another begins; the last one goes with the
# attempt's folder.
_ended: list[Chromium] = []


def remove_ended() -> None:
    """Wait for the browsers that have been ended, and remove what they leave."""
    while _ended:
        _ended.pop().remove()


def start(
    folder: str,
    *,
    is_headless: bool = True,
    arguments: Sequence[str] = (),
    confine: Callable[[], None] | None = None,
) -> Chromium:
    """Start Chromium with its profile in a new folder.

    Args:
        folder: A path that is not there yet; all that it writes lies beneath.
        is_headless: Without a window. Else it has windows: on the display that `DISPLAY` names,
            or on none.
        arguments: Further arguments for it.
        confine: Called in the process that becomes Chromium.

    Raises:
        BrowserMissing: There is none.
        BrowserFailed: It cannot be started.
    """
    remove_ended()
    program = find_program()
    command = [
        program,
        *_FLAGS,
        *_screen(is_headless=is_headless),
        f"--user-data-dir={folder}/profile",
        *arguments,
        _FIRST_PAGE,
    ]
    ends: list[int] = []
    try:
        os.makedirs(f"{folder}/profile", mode=0o700)  # noqa: PTH103 - as above
        ends += _pipe()
        ends += _pipe()
        their_read, our_write, our_read, their_write = ends
        if confine is None and _stands_above(folder):
            pid = _spawn(command, folder, their_read, their_write)
        elif (pid := os.fork()) == 0:
            _become(command, folder, their_read, their_write, confine)
    except OSError as error:
        for end in ends:
            os.close(end)
        raise BrowserFailed(f"{program}: {error.strerror}") from error
    os.close(their_read)
    os.close(their_write)
    os.set_blocking(our_read, False)
    os.set_blocking(our_write, False)
    return Chromium(pid, folder, our_read, our_write)


def _screen(*, is_headless: bool) -> tuple[str, ...]:
    if is_headless:
        return ("--headless=new",)
    return ("--ozone-platform=x11",) if os.environ.get(_DISPLAY_VARIABLE) else _NO_SCREEN


def _pipe() -> tuple[int, int]:
    """Return a pipe whose ends are not where Chromium looks for its own."""
    import fcntl

    ends = os.pipe()
    lifted = [fcntl.fcntl(end, fcntl.F_DUPFD_CLOEXEC, _LIFTED_FROM) for end in ends]
    for end in ends:
        os.close(end)
    return lifted[0], lifted[1]


def _stands_above(folder: str) -> bool:
    try:
        return os.getcwd() == os.path.dirname(folder)  # noqa: PTH109, PTH120 - as above
    except OSError:  # a script has removed where it stood
        return False


def _spawn(command: list[str], folder: str, read_fd: int, write_fd: int) -> int:
    """Start Chromium from where this process is, without a copy of its memory: see `_become`."""
    return os.posix_spawn(
        command[0],
        command,
        _environ(folder, os.path.basename(folder)),  # noqa: PTH119 - as above
        file_actions=[
            (os.POSIX_SPAWN_OPEN, 2, f"{folder}/{_ERRORS_NAME}", os.O_WRONLY | os.O_CREAT, 0o600),
            (os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_RDWR, 0),
            (os.POSIX_SPAWN_DUP2, read_fd, _READ_AT),
            (os.POSIX_SPAWN_DUP2, write_fd, _WRITE_AT),
        ],
        setsigdef=[signal.SIGTERM],
    )


def _environ(folder: str, temporary: str) -> dict[str, str]:
    """Return what Chromium is told; the path of a socket has room for 107 bytes: see `unix(7)`.

    So its folder for those is named from where it stands.
    """
    return {**os.environ, "HOME": folder, "TMPDIR": temporary}


def _become(
    command: list[str],
    folder: str,
    read_fd: int,
    write_fd: int,
    confine: Callable[[], None] | None,
) -> None:
    """Turn this fork into Chromium, which stands in its own folder."""
    try:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        os.chdir(folder)
        os.dup2(os.open(_ERRORS_NAME, os.O_WRONLY | os.O_CREAT, 0o600), 2)
        os.dup2(os.open("/dev/null", os.O_RDWR), 1)
        if confine is not None:
            confine()
        os.dup2(read_fd, _READ_AT)
        os.dup2(write_fd, _WRITE_AT)
        os.execve(command[0], command, _environ(folder, "."))  # noqa: S606 - a program, by its path
    except BaseException as error:  # noqa: BLE001 - this fork must never go on as its parent
        os.write(2, f"{type(error).__name__}: {error}".encode("utf-8", "replace"))
    finally:
        os._exit(127)


def home() -> str:
    """Return the folder that this attempt may write to, wherever its script has gone."""
    return os.environ.get("HOME") or os.getcwd()  # noqa: PTH109 - pathlib is not loaded everywhere


# ---- started ahead -------------------------------------------------------------------

_ahead: Chromium | None = None


def start_ahead(folder: str, confine: Callable[[], None] | None) -> None:
    """Start one for the attempt that this child is to run, if children are to do that.

    What goes wrong is told when the attempt starts one for itself.
    """
    global _ahead  # noqa: PLW0603 - a process waits for one attempt
    if os.environ.get(AHEAD_VARIABLE) != "1":
        return
    try:
        _ahead = start(f"{folder}/.browser", confine=confine)
    except (BrowserMissing, BrowserFailed):
        _ahead = None


def take_ahead() -> Chromium | None:
    """Return the browser that was started ahead, once, if it is alive."""
    global _ahead
    taken, _ahead = _ahead, None
    if taken is None or taken.is_over():
        return None
    return taken
