"""The file that a template's interpreter is started with.

    python -I launch.py prepare ARGUMENTS      set what survives an exec, then exec as template
    python -I -B launch.py template ARGUMENTS  become a template
    python -I -B launch.py child ARGUMENTS     become one child (isolation "exec")

It runs as a plain file with any environment's interpreter, in which zscrape need not be
installed: the package is put together from its folder, and no path is added to `sys.path`.
"""

from __future__ import annotations

import os
import sys

_PR_SET_NO_NEW_PRIVS = 38
_PR_SET_CHILD_SUBREAPER = 36


def prepare(arguments: list[str]) -> None:
    """Set the process attributes that need a C call, in an image that is then thrown away."""
    import ctypes

    _find_package()
    # Loading the template's modules here leaves their compiled form beside them, where it can
    # be written; what the compiler leaves in memory would be copied with every fork.
    from zscrape.runtime import template  # noqa: F401

    libc = ctypes.CDLL(None, use_errno=True)
    for option in (_PR_SET_NO_NEW_PRIVS, _PR_SET_CHILD_SUBREAPER):
        if libc.prctl(option, 1, 0, 0, 0) != 0:
            raise OSError(ctypes.get_errno(), f"prctl {option}")
    control_fd, _scratch, _isolation, kit, _limits, answer_fd = arguments
    if answer_fd != "-":
        from zscrape.runtime import notify

        has_messages = "browser" not in kit.split(",")
        notify.hand_over(int(control_fd), int(answer_fd), has_messages=has_messages)
    command = [sys.executable, "-I", "-B", __file__, "template", *arguments]
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


def main() -> None:
    """Do what the first argument says."""
    role, arguments = sys.argv[1], sys.argv[2:]
    if role == "prepare":
        prepare(arguments)
    _find_package()
    from zscrape.runtime import template

    if role == "child":
        template.serve_child(arguments)
    else:
        template.serve(arguments)


if __name__ == "__main__":
    main()
