"""How a template begins, or a child in a fresh interpreter: what it has before its first script.

It imports what its scripts will need, tries out what each of them does, and freezes the
collector; what has been done here no child has to do.
"""

from __future__ import annotations

import _socket
import gc
import os
import sys

from zscrape.runtime import child, hugepages, limits, network, rehearsal, room
from zscrape.runtime.atfork import Hooks
from zscrape.runtime.landlock import RULESET_FD
from zscrape.runtime.sandbox import Sandbox, read_plan
from zscrape.runtime.template import Template

# Enough for the interpreter to have specialised all that a child does.
_REHEARSALS_COUNT = 60


def warm(kit: str, *, is_forked: bool = True) -> None:
    """Import and try out what scripts with this kit will use, so that no child has to.

    Where this process is itself the child (not `is_forked`), trying out would be no use.
    """
    if "http" in kit.split(",") or limits.has_browser(kit):  # visits go by what `ctx.http` knows
        # Its command line brings rich and pygments: 9 MB more in every fork. None: not there.
        sys.modules["httpx._main"] = None  # type: ignore[assignment]
        from zscrape.runtime import warming

        del sys.modules["httpx._main"]
        if is_forked:
            warming.warm()
            rehearsal.ahead.append(warming.visit_ahead)
        else:
            warming.load()
    if limits.has_browser(kit):
        from zscrape.runtime import chromium, ctx_browser

        chromium.is_in_kit = True
        ctx_browser.warm()


def import_ahead(preload: str) -> None:
    """Import the modules that a manifest's `preload` names, so that no child has to.

    Raises:
        Exception: Whatever one of them raises.
        RuntimeError: One of them has started a thread, which no child would have.
    """
    _import(preload)
    if preload and len(os.listdir("/proc/self/task")) > 1:  # noqa: PTH208 - pathlib is not loaded here
        raise RuntimeError(
            f"preload: {preload} starts threads, which children forked from it would not have;"
            " import it in the script"
        )


def _import(preload: str) -> None:
    for name in preload.split(",") if preload else ():
        __import__(name)


def serve(arguments: list[str]) -> None:
    """Run as a template.

    Args:
        arguments: Control descriptor, scratch, isolation, kit, preload, limits or `-`, plan,
            ring, file of memory (-1: none).
    """
    control_fd, scratch, isolation, kit, preload = int(arguments[0]), *arguments[1:5]
    own_limits, plan = arguments[5:7]
    ring_fd, memory_fd = map(int, arguments[7:9])
    for fd in (control_fd, ring_fd, memory_fd):
        if fd >= 0:
            os.set_inheritable(fd, False)
    os.umask(0o077)
    os.environ.pop("LD_BIND_NOW", None)  # it was for this process, not for what scripts start
    limits.forbid_core_dumps()
    hooks, watch = Hooks(), None
    try:
        if isolation == "fork":
            network.learn()
            with hooks:
                warm(kit)
                watch = network.prepare()
                if preload and watch is not None:  # code of others, too
                    watch()
                import_ahead(preload)
            rehearsal.rehearse(scratch, 1)  # whatever it loads must be there before the sandbox is
            if kit:
                hugepages.enlarge_code(*hugepages.find_code())
    except Exception as error:
        refuse(control_fd, error)
        raise
    if own_limits != "-":
        asked = limits.Limits(*map(int, own_limits.split(",")))
        limits.apply(asked, has_browser=limits.has_browser(kit))
    _prepare_interpreter()
    template = Template(
        control_fd, scratch, isolation, kit, preload, plan, hooks, ring_fd, memory_fd
    )
    if isolation == "fork":
        template.rehearse(_REHEARSALS_COUNT)
        child.before_script = watch
        template.enlarge_in_use((0, 0) if kit else hugepages.find_code())
    gc.collect()
    room.gather()
    gc.freeze()  # a collection in a child would copy every page it visits
    if isolation == "fork" and kit:
        from zscrape.runtime import holes

        holes.fill()
    template.serve()


def refuse(control_fd: int, error: Exception) -> None:
    """Tell the worker why there will be no template."""
    text = f"{type(error).__name__}: {error}"
    _socket.socket(fileno=control_fd).send(b"E " + text.encode("utf-8", "replace")[:4096])


def serve_child(arguments: list[str]) -> None:
    """Run as one child in a fresh interpreter: kit, preload, private folder, plan."""
    kit, preload, folder, plan = arguments[:4]
    os.set_inheritable(child.CHANNEL_FD, False)
    sandbox = Sandbox(read_plan(plan), is_forked=False)
    sandbox.prepare_ruleset(folder)
    os.closerange(RULESET_FD + 1, 65536)
    network.learn()
    if (watch := network.prepare()) is not None:
        watch()
    warm(kit, is_forked=False)
    _import(preload)
    _prepare_interpreter()
    if limits.has_browser(kit):
        from zscrape.runtime import chromium

        chromium.start_ahead(chromium.home(), sandbox.confine_ahead)
    child.serve(sandbox.confine)


def _prepare_interpreter() -> None:
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(  # type: ignore[union-attr]
            encoding="utf-8", errors="backslashreplace", line_buffering=True
        )
    child.install_sigterm()
    gc.collect()
    gc.freeze()
    gc.disable()
