"""What ordinary scripts do, tried through the whole sandbox when a worker starts."""

import os
import socket
import ssl
import subprocess
import tempfile


def run() -> str:
    """Return `ok`, or raise what an ordinary script would trip over."""
    "zscrape.example".encode("idna")  # loads what a look-up of a name needs
    socket.getaddrinfo("localhost", 80)
    if not ssl.create_default_context().get_ciphers():
        raise RuntimeError("no ciphers for TLS")
    with tempfile.NamedTemporaryFile() as file:
        file.write(b"zscrape")
        file.flush()
        with open(file.name, "rb") as again:
            if again.read() != b"zscrape":
                raise RuntimeError("a file does not keep what was written to it")
    subprocess.run(["/bin/true"], check=True)
    with open(os.devnull, "wb") as nothing:
        nothing.write(b"zscrape")
    return "ok"
