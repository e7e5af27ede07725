"""A file that a script saved, brought to this machine."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from zscrape.client.manner import Manner
from zscrape.client.streaming import artifact_stream
from zscrape.client.talk import Give, Talk


def download(
    manner: Manner, /, task_id: str, name: str, path: str | os.PathLike[str]
) -> Talk[Path]:
    """Write a file that a task saved to a path, and return that path.

    A folder takes it under its own name. It is there whole or not at all, however large.

    Raises:
        ClientError: There is no such file, or it did not come to its end.
        OSError: It cannot be written.
    """
    target = Path(path)
    if target.is_dir():
        # What a script calls its file must not lead out of the folder.
        target /= Path(name.replace("\\", "/")).name or "artifact"
    draft = target.with_name(f".{target.name[:200]}.{secrets.token_hex(4)}")
    try:
        with draft.open("xb") as file:
            flow = artifact_stream(manner, task_id, name)
            came = None
            while True:
                try:
                    effect = flow.send(came)
                except StopIteration:
                    break
                came = None
                if isinstance(effect, Give):
                    file.write(effect.value)
                else:
                    came = yield effect
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
    return target
