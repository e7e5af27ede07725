"""A client for a gateway's HTTP API: what the command line uses, and Python users may.

    with Client() as client:
        task = client.run("price_watch", {"url": "https://example.com"})

Tasks are the API's own documents with names and a face; all else is the API's JSON, untouched.
Whatever goes wrong is a `ClientError` with the API's stable code and its words in the language
that was asked for.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from zscrape.client.batching import Ended
from zscrape.client.events import Event, read_events
from zscrape.client.failures import ClientError, Document
from zscrape.client.finding import Gateway, find_gateway
from zscrape.client.manner import NO_RETRY, Retry
from zscrape.client.sync import Client
from zscrape.client.tasks import Artifact, Failure, Task

if TYPE_CHECKING:
    from zscrape.client.asynchronous import AsyncClient

__all__ = [
    "NO_RETRY",
    "Artifact",
    "AsyncClient",
    "Client",
    "ClientError",
    "Document",
    "Ended",
    "Event",
    "Failure",
    "Gateway",
    "Retry",
    "Task",
    "find_gateway",
    "read_events",
]


def __getattr__(name: str) -> Any:
    """Load the client with an event loop on first use: the command line has none."""
    if name == "AsyncClient":
        from zscrape.client.asynchronous import AsyncClient

        return AsyncClient
    raise AttributeError(f"module 'zscrape.client' has no attribute {name!r}")
