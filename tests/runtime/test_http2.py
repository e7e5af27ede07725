"""`ctx.http` and a site that speaks HTTP/2, over TLS on loopback."""

from __future__ import annotations

import datetime as dt
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path

import h2.config
import h2.connection
import h2.events
import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from zscrape.runtime import ctx_http
from zscrape.runtime.ctx_http import Http, HttpError

LIMIT_S = 20.0


def certificate(folder: Path) -> Path:
    """Write a certificate for 127.0.0.1 and its key into one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "loopback")])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


class Site:
    """Answers every request on every connection by HTTP/2, with the path as the body."""

    def __init__(self, pem: Path) -> None:
        self.connections_count = 0
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.load_cert_chain(pem)
        self._tls.set_alpn_protocols(["h2"])
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"https://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def stop(self) -> None:
        """End it."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join(LIMIT_S)

    def _serve(self) -> None:
        while True:
            try:
                raw, _ = self._listener.accept()
            except OSError:
                return
            self.connections_count += 1
            raw.settimeout(LIMIT_S)
            try:
                with self._tls.wrap_socket(raw, server_side=True) as connection:
                    self._talk(connection)
            except OSError:  # a client that does not trust us, or has gone
                raw.close()

    def _talk(self, connection: ssl.SSLSocket) -> None:
        config = h2.config.H2Configuration(client_side=False, header_encoding="utf-8")
        session = h2.connection.H2Connection(config)
        session.initiate_connection()
        connection.sendall(session.data_to_send())
        while data := connection.recv(65536):
            for event in session.receive_data(data):
                if isinstance(event, h2.events.RequestReceived):
                    path = str({str(name): value for name, value in event.headers}[":path"])
                    session.send_headers(event.stream_id, [(":status", "200")])
                    session.send_data(event.stream_id, path.encode(), end_stream=True)
            connection.sendall(session.data_to_send())


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    """A site that this test's clients trust."""
    pem = certificate(tmp_path)
    monkeypatch.setattr(ctx_http, "_tls", httpx.create_ssl_context(verify=str(pem)))
    running = Site(pem)
    yield running
    running.stop()


@pytest.mark.filterwarnings("ignore:`verify=<str>` is deprecated:DeprecationWarning")
def test_site_that_speaks_http2_is_spoken_to_so(site: Site) -> None:
    """Several pages come over one connection."""
    http = Http(script_name="shop", ends_at=time.monotonic() + LIMIT_S)
    pages = [http.get(f"{site.url}/{number}", robots=False).text for number in range(3)]
    http.close()

    assert pages == ["/0", "/1", "/2"]
    assert site.connections_count == 1


@pytest.mark.filterwarnings("ignore:`verify=<str>` is deprecated:DeprecationWarning")
def test_site_that_is_not_trusted_is_told_at_once(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A certificate that nobody vouches for is an error, and is not tried again."""
    monkeypatch.setattr(ctx_http, "_tls", httpx.create_ssl_context())
    http = Http(script_name="shop", ends_at=time.monotonic() + LIMIT_S)
    with pytest.raises(HttpError, match="CERTIFICATE_VERIFY_FAILED"):
        http.get(site.url, robots=False)
    http.close()

    assert site.connections_count == 1
