"""Lets its secrets slip wherever something is kept; `mark` goes the same ways and is no secret."""

import asyncio
import logging
import os
import subprocess
import sys
import threading
import traceback
import warnings
from pathlib import Path


def run(way="output", mark="", *, ctx):
    password, token = ctx.secret("shop.password"), ctx.secret("api_token")
    slip = f"{mark} {password} {token}"
    return globals()[f"by_{way}"](ctx, slip, password, token)


def by_output(ctx, slip, password, token):
    for stream in (sys.stdout, sys.stderr):
        stream.write(slip[: len(slip) // 2])
        stream.flush()
        stream.write(slip[len(slip) // 2 :] + "\n")
    os.write(1, slip.encode() + b"\n")
    os.write(2, slip.encode("utf-16-le") + slip.encode())
    logging.getLogger("shop").warning("login %s", slip)
    warnings.warn(slip, stacklevel=1)
    sys.stdout.write("x" * 70_000 + slip + "\n")  # a line that is cut
    sys.stdout.write(slip)  # without an end
    return {"echo": [slip, {token: password}], "bytes": repr(slip.encode())}


def by_children(ctx, slip, password, token):
    subprocess.run([sys.executable, "-c", "import sys; print(sys.argv[1])", slip], check=False)
    told = subprocess.run(
        [sys.executable, "-c", "import os; print(dict(os.environ))"],
        check=False,
        capture_output=True,
        text=True,
    )
    thread = threading.Thread(target=lambda: 1 / len(slip[:0]), name=slip)
    thread.start()
    thread.join()
    sys.stdout.write(told.stdout + told.stderr)
    return {"environ": dict(os.environ), "children": told.stdout, "seen": [password, token]}


def by_files(ctx, slip, password, token):
    name = f"{token}.txt"
    Path(name).write_text(slip)
    ctx.save(name, slip)
    ctx.save("page.bin", b"\x00\xff" + slip.encode() + b"\x00", "application/octet-stream")
    ctx.save("typed.txt", slip, f"text/plain; note={token}")
    return {"files": sorted(each.name for each in Path().iterdir())}


def by_items(ctx, slip, password, token):
    ctx.progress(0.5, slip)
    ctx.log.info(slip, **{"password": password, token: 1})
    ctx.emit({slip: [password, {"deep": token}]}, key=token)
    ctx.state["cursor"] = {"token": token, "slip": slip}
    ctx.state[f"key {token}"] = 1
    yield slip
    yield {"last": password}


def by_errors(ctx, slip, password, token):
    try:
        int(slip)
    except ValueError as error:
        error.add_note(slip)
        raise type(f"Shop{token}", (RuntimeError,), {})(slip, password) from error


def by_groups(ctx, slip, password, token):
    raise ExceptionGroup(slip, [KeyError(password), OSError(2, slip, token)])


def by_loops(ctx, slip, password, token):
    async def broken():
        raise LookupError(slip)

    async def main():
        asyncio.get_running_loop().create_task(broken(), name=slip)
        await asyncio.sleep(0.01)
        traceback.print_stack()
        raise LookupError(token)

    asyncio.run(main())


def by_failing(ctx, slip, password, token):
    ctx.fail("blocked", slip)


def by_leaving(ctx, slip, password, token):
    sys.exit(slip)


def by_results(ctx, slip, password, token):
    return {slip: {1, 2}, "object": object(), "token": token}


def by_asking(ctx, slip, password, token):
    return ctx.ask(slip, fields={"code": {"type": "string", "title": token}}, timeout_s=0.5)


def by_dying(ctx, slip, password, token):
    sys.stdout.write(slip + "\n")
    sys.stderr.write(slip)
    sys.stderr.flush()
    os._exit(7)
