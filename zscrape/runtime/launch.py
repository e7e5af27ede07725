"""The file that a template's interpreter is started with.

    python -I launch.py probe PLAN             try each layer of isolation, tell which there are
    python -I launch.py prepare ARGUMENTS      set what survives an exec, then exec as template
    python -I -B launch.py template ARGUMENTS  become a template
    python -I -B launch.py child ARGUMENTS     become one child (isolation "exec")

Before `prepare` may stand `enter PROCS`, to join the cgroup with that file, and `offline`, to
do without a network.

It runs as a plain file with any environment's interpreter, in which zscrape need not be
installed: the package is put together from its folder, and no path is added to `sys.path`.
"""

from __future__ import annotations

import os
import sys


def prepare(arguments: list[str]) -> None:
    """Confine this process in an image that is then thrown away, and become a template."""
    _find_package()
    # Loading the template's modules here leaves their compiled form beside them, where it can
    # be written; what the compiler leaves in memory would be copied with every fork.
    from zscrape.runtime import libraries, pinning, sandbox, starting

    control_fd, _scratch, isolation, kit, _preload, _limits, plan, answer_fd, ring = arguments
    is_alone = isolation == "fork" and ring == "ring"
    ring_fd = pinning.make_ring() if is_alone else -1
    memory_fd = libraries.make_file() if is_alone else -1
    try:
        sandbox.confine_template(sandbox.read_plan(plan))
        if answer_fd != "-":
            from zscrape.runtime import notify

            has_messages = "browser" not in kit.split(",")
            notify.hand_over(int(control_fd), int(answer_fd), has_messages=has_messages)
    except OSError as error:
        starting.refuse(int(control_fd), error)
        raise
    told = [*arguments[:-2], str(ring_fd), str(memory_fd)]
    command = [sys.executable, "-I", "-B", __file__, "template", *told]
    os.execv(sys.executable, command)  # noqa: S606 - replaces itself


def _find_package() -> None:
    """Make `zscrape` importable from the folder above this file's."""
    folder = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120 - pathlib is not loaded here
    package = type(sys)("zscrape")
    package.__path__ = [folder]
    package.__file__ = f"{folder}/__init__.py"
    sys.modules["zscrape"] = package
    with open(package.__file__, "rb") as file:  # noqa: PTH123 - as above
        exec(compile(file.read(), package.__file__, "exec"), vars(package))  # noqa: S102 - its own file


def _restrict_network(words: list[str]) -> tuple[str, list[str]]:
    """Do what comes before the role, where nothing of others has run yet; return the rest."""
    if words[0] == "enter":
        with open(words[1], "w", encoding="ascii") as file:  # noqa: PTH123 - as above
            file.write("0")
        words = words[2:]
    if words[0] == "offline":
        _find_package()
        from zscrape.runtime import offline

        offline.forbid_inet()
        words = words[1:]
    return words[0], words[1:]


def main() -> None:
    """Do what the first argument says."""
    role, arguments = _restrict_network(sys.argv[1:])
    if role == "prepare":
        prepare(arguments)
    _find_package()
    if role == "probe":
        from zscrape.runtime import probe, sandbox

        probe.tell(sandbox.read_plan(arguments[0]))
        return
    from zscrape.runtime import starting

    if role == "child":
        starting.serve_child(arguments)
    else:
        starting.serve(arguments)


if __name__ == "__main__":
    main()
