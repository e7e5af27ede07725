"""What a socket's monitor tells."""

from __future__ import annotations

import zmq
from zmq.utils.monitor import parse_monitor_message

from zscrape.monitor import event_of


def test_events_are_read_as_pyzmq_reads_them() -> None:
    """A socket that listens and is dialled tells each by its event and a number."""
    told: list[tuple[int, int]] = []
    with zmq.Context() as context, context.socket(zmq.ROUTER) as server:
        monitor = server.get_monitor_socket()
        port = server.bind_to_random_port("tcp://127.0.0.1")
        with context.socket(zmq.DEALER) as client:
            client.connect(f"tcp://127.0.0.1:{port}")
            while not told or told[-1][0] != zmq.EVENT_HANDSHAKE_SUCCEEDED:
                assert monitor.poll(10_000)
                frames = monitor.recv_multipart()
                told.append(event_of(frames))
                known = parse_monitor_message(frames)
                assert told[-1] == (known["event"], known["value"])
        server.disable_monitor()
        monitor.close()

    assert [event for event, _value in told][:2] == [zmq.EVENT_LISTENING, zmq.EVENT_ACCEPTED]
    assert told[1][1] > 0  # a descriptor
