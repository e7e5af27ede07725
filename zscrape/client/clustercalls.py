"""Calls about the cluster: its workers, keys, sites and sessions."""

from __future__ import annotations

from typing import Any

from zscrape.client.calls import Answer, Call, as_document, as_nothing, at, call, given
from zscrape.client.failures import Document
from zscrape.client.manner import Manner


def overview() -> Call[Document]:
    """Return the figures of now and of each minute of the last hour."""
    return call("GET", at("overview"))


def workers() -> Call[Document]:
    """Return the workers: load, tags, running attempts."""
    return call("GET", at("workers"))


def drain(worker_id: str) -> Call[Document]:
    """Give a worker nothing new; what it runs goes on."""
    return call("POST", at("workers", worker_id, "drain"))


def resume(worker_id: str) -> Call[Document]:
    """Give a drained worker work again."""
    return call("POST", at("workers", worker_id, "resume"))


def remove_worker(worker_id: str) -> Call[Document]:
    """Forget a worker's key and cut it off; a token may let it join again."""
    return call("DELETE", at("workers", worker_id))


def revoke_worker(worker_id: str) -> Call[Document]:
    """Refuse a worker's key for ever and cut it off."""
    return call("POST", at("workers", worker_id, "revoke"))


def keys() -> Call[Document]:
    """Return the API keys: what each may do, and when it was last used."""
    return call("GET", at("keys"))


def create_key(**asked: Any) -> Call[Document]:
    """Make an API key: `name scopes scripts groups expires_in rate task_limit`.

    `key` is told this once.
    """
    return call("POST", at("keys"), body=given(asked))


def revoke_key(key_id: str) -> Call[Document]:
    """End an API key for good."""
    return call("DELETE", at("keys", key_id))


def audit(**filters: Any) -> Call[Document]:
    """Return one page of who did what: `since actor action limit cursor`."""
    return call("GET", at("audit"), params=given(filters))


def tokens() -> Call[Document]:
    """Return the join tokens, without what lets anybody in."""
    return call("GET", at("tokens"))


def create_token(**asked: Any) -> Call[Document]:
    """Make a join token (`name`, `uses`, `expires_in`, `addresses`); only this tells it."""
    return call("POST", at("tokens"), body=asked)


def revoke_token(token_id: str) -> Call[Document]:
    """Let nobody join by a token any more."""
    return call("DELETE", at("tokens", token_id))


def rotate_link_key(overlap_s: float) -> Call[Document]:
    """Have the gateway take another key on the link, after `overlap_s`."""
    return call("POST", at("tokens", "rotate-key"), body={"overlap": overlap_s})


def login_link() -> Call[Document]:
    """Return `url`, which signs a browser in as this client, once."""
    return Call(method="POST", path=at("logins"), read=_link)


def _link(answer: Answer, manner: Manner) -> Document:
    made = as_document(answer, manner)
    return {**made, "url": f"{manner.url}{made['path']}"}


def sites() -> Call[Document]:
    """Return the sites that have a budget or were asked of late, and how they take it."""
    return call("GET", at("sites"))


def set_site(site: str, **budget: Any) -> Call[Document]:
    """Set the budget of a site: `rate concurrency burst gap`; what is None has no limit."""
    return call("PUT", at("sites", site), body=given(budget))


def remove_site(site: str) -> Call[None]:
    """Remove the budget of a site."""
    return Call(method="DELETE", path=at("sites", site), read=as_nothing)


def sessions(site: str | None = None) -> Call[Document]:
    """Return every session with a site, or those with one; never a cookie's value."""
    return call("GET", at("sessions"), params=given({"site": site}))


def session(site: str, account: str) -> Call[Document]:
    """Return one session: how it is, and who has it."""
    return call("GET", at("sessions", site, account))


def put_session(
    site: str,
    account: str,
    *,
    cookies: list[Document] | None = None,
    scripts: list[str] | None = None,
    max_age_s: float | None = None,
) -> Call[Document]:
    """Keep a session; what is None stays as it is. `scripts` are names or patterns."""
    body = given({"cookies": cookies, "scripts": scripts, "max_age_s": max_age_s})
    return call("PUT", at("sessions", site, account), body=body)


def remove_session(site: str, account: str) -> Call[None]:
    """Forget a session, also one that is leased."""
    return Call(method="DELETE", path=at("sessions", site, account), read=as_nothing)


def status() -> Call[Document]:
    """Return `/status`: queue length, active workers, memory and CPU. Needs no key."""
    return call("GET", "/status")
