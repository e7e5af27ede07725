import fcntl
import json
import os
import subprocess
import time
from pathlib import Path


def run(
    notes: str,
    number: int,
    seconds: float = 0.0,
    alone: str = "",
    child: bool = False,
    hold: str = "",
    *,
    ctx,
):
    """Note start and end; hold a file lock meanwhile, which the kernel frees whoever kills us.

    With `alone` it never lets go of it: who comes next must find it gone for good. Others let
    go as they end, since their answer is told before their process is gone. It runs for
    `seconds`, and until the file `hold` is there when that is given.
    """
    journal = os.open(Path(notes, "notes.jsonl"), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def note(what: str, **more) -> None:
        line = {"task": ctx.task_id, "attempt": ctx.attempt, "what": what, "number": number, **more}
        os.write(journal, json.dumps({**line, "at": time.monotonic()}).encode() + b"\n")

    name = "key-" + alone if alone else "task-" + ctx.task_id
    held = os.open(Path(notes, name), os.O_RDWR | os.O_CREAT, 0o600)
    note("start", pid=os.getpid(), alone=alone)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        note("overlap", alone=alone)
    if child:
        note("child", pid=subprocess.Popen(["sleep", "600"]).pid)
    ends_at = time.monotonic() + seconds
    try:
        while (left := ends_at - time.monotonic()) > 0:
            time.sleep(min(left, 0.5))
        while hold and not Path(notes, hold).exists():
            time.sleep(0.05)
    except BaseException:
        if not alone:
            os.close(held)
        note("stopped")
        raise
    if not alone:
        os.close(held)
    note("end")
    return {"number": number, "attempt": ctx.attempt}
