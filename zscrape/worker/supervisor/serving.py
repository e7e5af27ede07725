"""The supervisor's loop: all listeners of one worker, and the calls that have to wait.

No call waits here for another one: each turn takes at most one from each listener, and what
cannot be done at once is tried again when its socket is ready. A call may go away at any time,
since its process is killed or interrupted.
"""

from __future__ import annotations

import errno
import os
import select
import signal
import socket
import sys
import time
from collections import OrderedDict

from zscrape.worker.supervisor import kernel
from zscrape.worker.supervisor.actions import NOT_YET, Connect, Send, SocketTampered
from zscrape.worker.supervisor.calls import Reader
from zscrape.worker.supervisor.judge import Judge
from zscrape.worker.supervisor.kernel import Notification

_TURN_COUNT = 64
# How often a waiting call is asked whether it still waits, and tried again if no descriptor
# tells when; a killed process's socket is held open no longer than this.
_LOOK_S = 0.05
_PARKED_LIMIT_COUNT = 1024  # per listener
_TAMPERERS_COUNT = 1024
_COMPLAINTS_COUNT = 20


class Parked:
    """A call that waits for its socket."""

    def __init__(self, listener_fd: int, call: Notification, action: Connect | Send) -> None:
        self.listener_fd = listener_fd
        self.call = call
        self.action = action
        patience_s = action.subject.patience_s()
        self.ends_at = None if patience_s is None else time.monotonic() + patience_s


class Serving:
    """Serves listeners, which come over a control socket, until that is closed."""

    def __init__(self, control: socket.socket, judge: Judge) -> None:
        self._control = control
        self._reader = Reader(judge)
        self._epoll = select.epoll()
        self._epoll.register(control.fileno(), select.EPOLLIN)
        self._parked: dict[int, dict[int, Parked]] = {}  # by listener, then by our socket
        self._places: dict[int, int] = {}  # our socket to its listener
        self._tamperers: OrderedDict[int, None] = OrderedDict()  # sessions
        self._looked_at = 0.0
        self._complaints_left = _COMPLAINTS_COUNT
        # It only has to interrupt a system call.
        signal.signal(signal.SIGALRM, lambda _number, _frame: None)

    def serve(self) -> None:
        """Return when the worker has gone."""
        while True:
            ready = self._epoll.poll(_LOOK_S if self._places else None, _TURN_COUNT)
            for fd, events in ready:
                if fd in self._places:
                    self._try(self._parked[self._places[fd]][fd])
                elif fd in self._parked:
                    self._listen(fd, events)
            self._look()
            # Last: a new listener must not get the number of a socket that was ready, too.
            if any(fd == self._control.fileno() for fd, _ in ready) and not self._take_listener():
                return

    def _take_listener(self) -> bool:
        message, fds, _flags, _address = socket.recv_fds(self._control, 16, 1)
        for fd in fds:
            os.set_blocking(fd, False)
            kernel.prefer_one_processor(fd)
            self._parked[fd] = {}
            self._epoll.register(fd, select.EPOLLIN)
        return message != b""

    def _listen(self, listener_fd: int, events: int) -> None:
        if events & select.EPOLLIN:
            call = None
            try:
                call = kernel.receive(listener_fd)
                if call is not None:
                    self._begin(listener_fd, call)
            except Exception as error:  # noqa: BLE001 - no call may end the service of all others
                self._complain(error)
                if call is not None:
                    kernel.answer(listener_fd, call.id, -errno.EACCES)
        elif events & (select.EPOLLHUP | select.EPOLLERR):  # nobody is left under this filter
            self._drop_listener(listener_fd)

    def _drop_listener(self, listener_fd: int) -> None:
        for parked in list(self._parked[listener_fd].values()):
            self._forget(parked)
        del self._parked[listener_fd]
        self._epoll.unregister(listener_fd)
        os.close(listener_fd)

    # ---- calls -----------------------------------------------------------------------

    def _begin(self, listener_fd: int, call: Notification) -> None:
        if self._has_tampered(call.tid):
            kernel.answer(listener_fd, call.id, -errno.EACCES)
            return
        try:
            action = self._reader.read(call)
        except OSError as error:
            kernel.answer(listener_fd, call.id, _result(error))
            return
        # All that was read by the number of its thread is that thread's: it has not gone since.
        if not kernel.is_waiting(listener_fd, call.id):
            action.subject.close()
            return
        result = self._act(call, action)
        if result is not None:
            kernel.answer(listener_fd, call.id, result)
            action.subject.close()
        elif len(self._parked[listener_fd]) >= _PARKED_LIMIT_COUNT:
            kernel.answer(listener_fd, call.id, -errno.EAGAIN)
            action.subject.close()
        else:
            self._park(Parked(listener_fd, call, action))

    def _act(self, call: Notification, action: Connect | Send) -> int | None:
        """Return the result of a call, or None if there is none yet."""
        try:
            return action.act()
        except SocketTampered:
            self._remember_tamperer(call.tid)
            return -errno.EACCES
        except OSError as error:
            if action.is_patient and error.errno in NOT_YET:
                return None
            return _result(error)

    def _park(self, parked: Parked) -> None:
        fd = parked.action.subject.fd
        self._parked[parked.listener_fd][fd] = parked
        self._places[fd] = parked.listener_fd
        if parked.action.is_polled:
            self._epoll.register(fd, select.EPOLLOUT)

    def _try(self, parked: Parked) -> None:
        """Try a call again, unless it has gone: then its thread's number may be another's."""
        if not kernel.is_waiting(parked.listener_fd, parked.call.id):
            self._forget(parked)
            return
        try:
            result = self._act(parked.call, parked.action)
        except Exception as error:  # noqa: BLE001 - as above
            self._complain(error)
            result = -errno.EACCES
        if result is not None:
            self._end(parked, result)

    def _end(self, parked: Parked, result: int) -> None:
        self._forget(parked)
        kernel.answer(parked.listener_fd, parked.call.id, result)

    def _forget(self, parked: Parked) -> None:
        fd = parked.action.subject.fd
        if parked.action.is_polled:
            self._epoll.unregister(fd)  # closing does not: the socket lives on in its process
        del self._parked[parked.listener_fd][fd], self._places[fd]
        parked.action.subject.close()

    def _look(self) -> None:
        """See to the calls that wait: some have gone, some have waited long enough."""
        now = time.monotonic()
        if not self._places or now - self._looked_at < _LOOK_S:
            return
        self._looked_at = now
        for parked in [each for some in self._parked.values() for each in some.values()]:
            if not kernel.is_waiting(parked.listener_fd, parked.call.id):
                self._forget(parked)
            elif parked.ends_at is not None and now >= parked.ends_at:
                self._end(parked, parked.action.give_up())
            elif not parked.action.is_polled:
                self._try(parked)

    # ---- those who attack this process ------------------------------------------------

    def _remember_tamperer(self, tid: int) -> None:
        """Do nothing more for a session that made this process wait: it will again."""
        self._tamperers[_session_of(tid)] = None
        if len(self._tamperers) > _TAMPERERS_COUNT:
            self._tamperers.popitem(last=False)

    def _has_tampered(self, tid: int) -> bool:
        return bool(self._tamperers) and _session_of(tid) in self._tamperers

    def _complain(self, error: Exception) -> None:
        if self._complaints_left:
            self._complaints_left -= 1
            sys.stderr.write(f"zscrape supervisor: {type(error).__name__}: {error}\n")


def _result(error: OSError) -> int:
    return -(error.errno or errno.EACCES)


def _session_of(tid: int) -> int:
    try:
        return os.getsid(tid)
    except OSError:
        return -1
