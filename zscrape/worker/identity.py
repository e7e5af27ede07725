"""Who a worker is: an id that is kept, and the facts that it tells of its machine."""

from __future__ import annotations

import fcntl
import os
import platform
import re
import secrets
import shutil
import socket
from itertools import count
from pathlib import Path
from typing import IO

from zscrape import __version__
from zscrape.core.admission import is_worker_id
from zscrape.errors import ConfigError
from zscrape.machine import memory_bytes
from zscrape.model import WorkerFacts
from zscrape.worker.pulse import SUFFIX as PULSE_SUFFIX

# Programs that scraping scripts ask for by `system_requirements`; a worker tells which it has.
PROGRAMS = (
    *("chromium", "chromium-headless-shell", "google-chrome", "firefox", "chromedriver"),
    *("ffmpeg", "convert", "tesseract", "pdftotext", "pdftoppm", "wkhtmltopdf", "libreoffice"),
    *("node", "java", "git", "curl", "wget", "exiftool", "yt-dlp", "xvfb-run", "jq", "7z"),
)


class Identity:
    """A worker's id, kept in the home folder and held by a lock while the worker lives.

    Two workers with one home folder get an id each: the second one finds the first one's
    file locked and takes the next.

    Raises:
        ConfigError: The file holds no id.
        OSError: The folder or the file cannot be used.
    """

    def __init__(self, home: Path) -> None:
        folder = home / "workers"
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        tries = (self._hold(folder / f"{number}.id") for number in count(1))
        self._file: IO[str] = next(file for file in tries if file is not None)
        try:
            self.id = self._file.read().strip() or self._choose()
        except BaseException:
            self._file.close()
            raise
        if not is_worker_id(self.id):
            self._file.close()
            reason = "holds no worker id; remove the file to get a new one"
            raise ConfigError(source=self._file.name, reason=reason)

    @property
    def key_path(self) -> Path:
        """Where the keys of this id's worker are kept."""
        return Path(self._file.name).with_suffix(".key")

    @property
    def pulse_path(self) -> Path:
        """Where this id's worker tells that it lives."""
        return Path(self._file.name).with_suffix(PULSE_SUFFIX)

    def _choose(self) -> str:
        # A host's name may have characters that no worker id has.
        name = re.sub(r"[^a-z0-9-]", "", socket.gethostname().split(".")[0].lower())[:32]
        made = f"{name.strip('-') or 'worker'}-{secrets.token_hex(4)}"
        self._file.write(made + "\n")
        self._file.flush()
        return made

    @staticmethod
    def _hold(path: Path) -> IO[str] | None:
        file = path.open("a+", encoding="utf-8", errors="replace")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            return None
        file.seek(0)
        return file

    def release(self) -> None:
        """Let another worker take this id."""
        self._file.close()


def facts(
    isolation: tuple[str, ...] = (), network: str = "", browser_slots: int = 0
) -> WorkerFacts:
    """Return what this machine is and has."""
    return WorkerFacts(
        hostname=socket.gethostname(),
        version=__version__,
        python=platform.python_version(),
        platform=f"{platform.system()} {platform.release()} {platform.machine()}",
        cpu_count=os.cpu_count() or 1,
        memory_bytes=memory_bytes(),
        programs=tuple(name for name in PROGRAMS if shutil.which(name)),
        isolation=isolation,
        network=network,
        browser_slots=browser_slots,
    )
