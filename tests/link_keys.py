"""Keys for tests that speak on the link by hand."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import zmq

from zscrape import wire
from zscrape.config import JOIN_FILE, JoinToken, parse_token
from zscrape.config.keyfiles import KeyPair, new_pair, pair_of
from zscrape.gateway.gatekeeper import Gatekeeper
from zscrape.gateway.linkkeys import LinkKeys


def home_token(home: Path, *addresses: str) -> str:
    """Return the join token in a gateway's home folder, for other addresses if any are given."""
    with (home / JOIN_FILE).open("rb") as file:
        token = parse_token(tomllib.load(file)["token"])
    return JoinToken.of(addresses or token.addresses, token.server_keys, token.secret).text()


def show(socket: zmq.Socket[Any], pair: KeyPair, server_key: bytes) -> None:
    """Have a socket prove itself by `pair`, to the owner of `server_key` only."""
    socket.setsockopt(zmq.CURVE_SERVERKEY, server_key)
    socket.setsockopt(zmq.CURVE_PUBLICKEY, pair.public)
    socket.setsockopt(zmq.CURVE_SECRETKEY, pair.secret)


def join_by_hand(told: str, worker_id: str) -> KeyPair:
    """Join by a token; returns the pair that is known for `worker_id` from now on."""
    token, pair = parse_token(told), new_pair()
    context: zmq.Context[Any] = zmq.Context()
    socket = context.socket(zmq.DEALER)
    try:
        show(socket, pair_of(token.secret), token.server_keys[0])
        socket.setsockopt(zmq.RCVTIMEO, 10_000)
        socket.connect(token.addresses[0])
        socket.send(wire.encode(wire.Join(wire.PROTOCOL, worker_id, pair.public)))
        answer = wire.decode_gateway(socket.recv())
        assert answer == wire.Joined(worker_id), answer
    finally:
        context.destroy(linger=0)
    return pair


def local_door(home: Path) -> tuple[LinkKeys, Gatekeeper]:
    """Return the keys of a gateway of this home, and a door that keeps nothing."""
    keys = LinkKeys(home)
    return keys, Gatekeeper(local_key=keys.local.public)


async def make_known(keys: LinkKeys, door: Gatekeeper, worker_id: str) -> KeyPair:
    """Return a pair that a door knows for `worker_id`."""
    pair = new_pair()
    by = door.passage(door.admits(keys.local.public, 0.0))
    assert await door.join(by, wire.Join(wire.PROTOCOL, worker_id, pair.public), 0.0) is None
    return pair
