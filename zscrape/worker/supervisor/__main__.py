"""The supervisor's process. Standard input: its settings; the argument: its control socket.

It is run as a plain file by `starting.py`, without `site`, and imports little.
"""

from __future__ import annotations

import json
import os
import resource
import socket
import sys


def main() -> None:
    """Serve until the worker has gone."""
    # Its own package, and nothing else of the environment.
    sys.path.append(os.path.abspath(f"{__file__}/../../../.."))  # noqa: PTH100 - pathlib is slow to load
    from zscrape.worker.supervisor import kernel
    from zscrape.worker.supervisor.judge import Judge, hear_policy
    from zscrape.worker.supervisor.serving import Serving

    kernel.end_with_parent()
    kernel.hide_memory()
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    settings = json.load(sys.stdin)
    judge = Judge(hear_policy(settings["rules"]), settings["scratch_root"])
    Serving(socket.socket(fileno=int(sys.argv[1])), judge).serve()


if __name__ == "__main__":
    main()
