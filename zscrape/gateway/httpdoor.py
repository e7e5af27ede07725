"""What the settings say of the HTTP door: its certificate, its names, who may read."""

from __future__ import annotations

import ssl

from zscrape.config import SettingError, Settings, is_loopback, parse_http
from zscrape.gateway.connections import Tls
from zscrape.gateway.shield import ShieldPolicy, hosts_for


def tls_of(settings: Settings) -> Tls | None:
    """Return the certificate to serve with, proved to belong to its key.

    Raises:
        SettingError: It cannot be used.
    """
    certificate, key = settings.gateway.tls_certificate, settings.gateway.tls_key
    if certificate is None and key is None:
        return None
    source = settings.sources["gateway.tls_certificate" if certificate else "gateway.tls_key"]
    try:
        if certificate is None or key is None:
            raise FileNotFoundError("one of the two is missing")
        ssl.create_default_context(ssl.Purpose.CLIENT_AUTH).load_cert_chain(certificate, key)
    except (OSError, ssl.SSLError) as error:
        raise SettingError(source=source, reason=str(error), fault="tls") from error
    return Tls(certificate, key)


def shield_of(settings: Settings) -> ShieldPolicy:
    """Return the names under which the gateway is called, and whose pages may read it."""
    gateway = settings.gateway
    host = parse_http(gateway.http)[0]
    return ShieldPolicy(
        hosts=hosts_for(host, is_loopback=is_loopback(host), named=gateway.hosts),
        origins=frozenset(each.lower() for each in gateway.cors_origins),
    )
