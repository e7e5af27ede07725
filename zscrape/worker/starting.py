"""The process of a template, begun whole or not at all."""

from __future__ import annotations

import os
import socket
import subprocess
import tempfile
from contextlib import ExitStack

from msgspec import Struct

from zscrape.worker.kinds import Kind, TemplateFailed, TemplatePolicy, start_process
from zscrape.worker.supervisor.handover import Handover
from zscrape.worker.tree import Eye


class Begun(Struct, frozen=True):
    """What its worker has of a process; each of these is to be closed."""

    process: subprocess.Popen[bytes]
    control: socket.socket
    errors_fd: int  # what it has written there
    pidfd: int
    eye: Eye


def begin(
    kind: Kind, policy: TemplatePolicy, scratch_root: str, handover: Handover | None
) -> Begun:
    """Start a template's process.

    Raises:
        TemplateFailed: Its interpreter cannot be executed.
        OSError: There are no descriptors left; nothing of it stays, the handover neither.
    """
    with ExitStack() as undo:
        if handover is not None:
            undo.callback(handover.close)
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        undo.callback(ours.close)
        ours.setblocking(False)
        with theirs, tempfile.TemporaryFile() as errors:
            answer_fd = -1 if handover is None else handover.answer_fd
            process = _started(kind, policy, scratch_root, theirs, errors.fileno(), answer_fd)
            undo.callback(process.wait)
            undo.callback(process.kill)
            errors_fd = os.dup(errors.fileno())
        undo.callback(os.close, errors_fd)
        pidfd = os.pidfd_open(process.pid)
        undo.callback(os.close, pidfd)
        begun = Begun(process, ours, errors_fd, pidfd, Eye(process.pid))
        undo.pop_all()
    if handover is not None:
        handover.started()
    return begun


def _started(
    kind: Kind,
    policy: TemplatePolicy,
    scratch_root: str,
    control: socket.socket,
    errors_fd: int,
    answer_fd: int,
) -> subprocess.Popen[bytes]:
    try:
        return start_process(kind, policy, scratch_root, control.fileno(), errors_fd, answer_fd)
    except OSError as error:
        python = kind.python or policy.python
        raise TemplateFailed(f"{python}: {error.strerror}") from error
