"""How the gateway's ROUTER socket is set: what libzmq does for us, and what it must not."""

from __future__ import annotations

from typing import Final

import zmq

from zscrape import wire

ROUTER_OPTIONS: Final[tuple[tuple[int, int], ...]] = (
    # Without it, 1,960 of 2,000 messages to a slow peer vanished without an error (measured).
    (zmq.ROUTER_MANDATORY, 1),
    # Identity is in Hello; hand-over of routing ids leaks descriptors (libzmq #3238, #4407).
    (zmq.ROUTER_HANDOVER, 0),
    # The default is no limit: a frame that claims 8 GiB had them allocated (measured).
    (zmq.MAXMSGSIZE, wire.FRAME_LIMIT_BYTES),
    # A stranger who never speaks ZMTP is cut after this; the default is 30 s.
    (zmq.HANDSHAKE_IVL, 5_000),
    # Messages, per peer: bounded both ways, so that a stuck worker is an event, not memory.
    (zmq.SNDHWM, 2_000),
    (zmq.RCVHWM, 2_000),
    # Our own heartbeats decide; these only clean up what a half-open connection leaves behind.
    # The kernel does it for nothing: libzmq's pings (HEARTBEAT_IVL) cost as much as our beats,
    # and each answer to one a walk over the timers of all connections (cancel_timer).
    (zmq.TCP_KEEPALIVE, 1),
    (zmq.TCP_KEEPALIVE_IDLE, 5),
    (zmq.TCP_KEEPALIVE_INTVL, 2),
    (zmq.TCP_KEEPALIVE_CNT, 3),
    (zmq.TCP_MAXRT, 10_000),  # for what was sent and is not acknowledged
    # The kernel sees as far as the next hop: behind a proxy a peer may be gone all the same.
    (zmq.HEARTBEAT_IVL, 60_000),
    (zmq.HEARTBEAT_TIMEOUT, 20_000),
    # 1,000 workers may dial at once after a restart; the default is 100.
    (zmq.BACKLOG, 1_024),
    # A last beat or acknowledgement may still leave at shutdown, but nothing waits for ever.
    (zmq.LINGER, 500),
)
