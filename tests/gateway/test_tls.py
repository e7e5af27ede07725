"""A gateway with a certificate of its own, and behind proxies that it knows."""

from __future__ import annotations

import datetime as dt
import ssl
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.e2e.cluster import Process
from zscrape.client import Client, ClientError, Gateway, find_gateway
from zscrape.gateway.connections import ConnectionLimits, HttpConfig


def write_certificate(folder: Path) -> tuple[Path, Path]:
    """Write a certificate of localhost and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    paths = folder / "server.pem", folder / "server.key"
    paths[0].write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    paths[1].write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    paths[1].chmod(0o600)
    return paths


def test_a_gateway_speaks_tls(tmp_path: Path) -> None:
    """With a certificate it answers over TLS alone, and its own machine knows it without asking."""
    certificate, key = write_certificate(tmp_path)
    environ = {"ZSCRAPE_TLS_CERTIFICATE": str(certificate), "ZSCRAPE_TLS_KEY": str(key)}
    listen = ("--http", "127.0.0.1:0", "--link", "tcp://127.0.0.1:0")
    process = Process("gateway", "--home", str(tmp_path / "home"), *listen, environ=environ)
    try:
        url = process.ready["http"]
        port = url.rpartition(":")[2]
        context = ssl.create_default_context(cafile=str(certificate))
        answer = httpx.get(f"https://localhost:{port}/health", verify=context, trust_env=False)
        with Client(find_gateway(home=tmp_path / "home", environ={})) as client:
            scripts = client.scripts()
        with pytest.raises(ClientError), Client(Gateway(url, "k", "test")) as stranger:
            stranger.scripts()
        with pytest.raises(httpx.HTTPError):
            httpx.get(f"http://localhost:{port}/health", trust_env=False)
    finally:
        process.end()

    assert url.startswith("https://")
    assert answer.status_code == 200
    assert scripts["scripts"] == []


@pytest.mark.parametrize(
    ("proxies", "seen"),
    [((), "127.0.0.1"), (("10.0.0.1",), "127.0.0.1"), (("127.0.0.1",), "203.0.113.9")],
)
async def test_only_named_proxies_are_believed(gateway: Any, proxies: Any, seen: str) -> None:
    """Who calls is the peer, unless the peer is a proxy that is named and says otherwise."""
    clients: list[str] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        clients.append(scope["client"][0])
        await send({"type": "http.response.start", "status": 204, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    config = HttpConfig(app, ConnectionLimits(), proxies=proxies)
    async with gateway.served(config=config) as served, served.client() as client:
        await client.get("/", headers={"X-Forwarded-For": "203.0.113.9"})

    assert clients == [seen]
