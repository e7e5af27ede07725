"""A gateway that cannot start leaves nothing behind."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest

from zscrape import config
from zscrape.errors import ConfigError
from zscrape.gateway.serve import serve


def free_port() -> int:
    """Return a port that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


@pytest.mark.parametrize("fault", ["cache", "channels.json", "client.toml", "link"])
async def test_failed_start_leaves_its_address_free(tmp_path: Path, fault: str) -> None:
    """Whatever part fails, the error is one of settings and the port can be bound again."""
    home, port = tmp_path / "home", free_port()
    home.mkdir()
    link = "tcp://127.0.0.1:0"
    if fault == "link":
        link = "tcp://192.0.2.1:5555"  # an address of no machine (RFC 5737)
    elif fault == "cache":
        (home / fault).write_text("a file where a folder should be")
    else:
        (home / fault).mkdir()
    settings = config.load(
        flags={
            "home": home,
            "gateway.http": f"127.0.0.1:{port}",
            "gateway.link": link,
            "gateway.insecure": True,
            "gateway.api_key": "secret-0123456",
        },
        environ={"HOME": str(tmp_path)},
    )

    with pytest.raises(ConfigError):
        await serve(settings, on_ready=lambda ready: None)

    socket.create_server(("127.0.0.1", port)).close()
    assert not list(home.glob(".client.toml.*"))
