"""The text of systemd units."""

from __future__ import annotations

from pathlib import Path
from string import Template
from typing import Final

_WORKER: Final = Template("""\
# $mark. Settings are in the file behind --config.
[Unit]
Description=zscrape worker
${network}StartLimitIntervalSec=300
StartLimitBurst=10

[Service]
Type=notify
NotifyAccess=main
${variables}ExecStart=$command
# Ready once it could run scripts: it waits for its gateways as long as it takes.
TimeoutStartSec=300
# The beats come from the loop that does the work: one that hangs is killed and started anew.
WatchdogSec=30
# 3: its settings are wrong or the gateway refuses it, which no further start mends.
Restart=always
RestartSec=1
RestartPreventExitStatus=3
# The worker alone is asked to stop: it ends what it runs and takes nothing new. Whatever is left
# then is killed.
KillMode=mixed
TimeoutStopSec=$stop_limit_s
# An attempt that the kernel ends for want of memory is that attempt's matter.
OOMPolicy=continue
# The attempts' own control groups.
Delegate=yes
UMask=$umask
LimitNOFILE=65536
LimitCORE=0
TasksMax=8192

[Install]
WantedBy=$target
""")


def worker_unit(
    command: list[str], *, mark: str, variables: Path | None, is_user: bool, stop_limit_s: int
) -> str:
    """Return the unit that runs a worker by `command`, with the variables in a file if any."""
    escaped = str(variables).replace("%", "%%")
    # A user's own manager knows nothing of the machine's network.
    network = "" if is_user else "Wants=network-online.target\nAfter=network-online.target\n"
    return _WORKER.substitute(
        mark=mark,
        network=network,
        variables="" if variables is None else f"EnvironmentFile={escaped}\n",
        command=" ".join(map(quoted, command)),
        stop_limit_s=stop_limit_s,
        # The machine's manager runs it as root: its attempts, each a user of its own, read what
        # it fetches. Keys have modes of their own.
        umask="0077" if is_user else "0022",
        target="default.target" if is_user else "multi-user.target",
    )


def quoted(word: str) -> str:
    """Return a word as systemd's command lines want it (systemd.service(5), COMMAND LINES)."""
    escaped = word.replace("%", "%%").replace("$", "$$").replace("\\", "\\\\").replace('"', '\\"')
    plain = escaped == word and word and not any(each in word for each in " \t'; ")
    return word if plain else f'"{escaped}"'
