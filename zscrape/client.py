"""A client for a gateway's HTTP API: what the command line uses, and Python users may.

    with Client(find_gateway()) as client:
        envelope = client.run("price_watch", {"url": "https://example.com"})

Documents are the API's own JSON, untouched. Whatever goes wrong is a `ClientError` with the
API's stable code and its words in the language that was asked for.
"""

from __future__ import annotations

import os
import ssl
import threading
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, TypeAlias
from urllib.parse import quote, urlsplit

import httpx
import msgspec
from msgspec import Struct

from zscrape import __version__
from zscrape.config import CLIENT_FILE, default_home, is_loopback, with_files
from zscrape.errors import ZscrapeError
from zscrape.messages import text

Document: TypeAlias = dict[str, Any]

# The gateway pings an open stream every 15 s: three missed ones mean that it is gone.
_STREAM_SILENCE_S: Final = 45.0
_CALL_TIMEOUT_S: Final = 30.0
_REFRESH_TIMEOUT_S: Final = 300.0  # a first look at a large repository takes its time
_MANY_S: Final = 300.0  # calls about up to 10,000 tasks
_CLIENT_TLS: Final = ssl.PROTOCOL_TLS_CLIENT
_PEM_END: Final = "-----END CERTIFICATE-----"
_RECONNECT_COUNT: Final = 5
_RECONNECT_FIRST_S: Final = 0.25


class ClientError(ZscrapeError):
    """Raised when a call does not succeed.

    `code` is the API's, or `gateway_unknown`, `gateway_unreachable`, `answer_invalid` of the
    client's own; `status` is the HTTP status, 0 iff there was no answer. `problems` has one
    `{"pointer", "reason"}` per fault of the request.
    """

    def __init__(self, code: str, words: str, *, status: int = 0, body: Document | None = None):
        super().__init__()
        self.code = code  # type: ignore[misc]  # many codes, one class: they are the API's
        self.status = status
        self.words = words
        self.body = body or {}

    @property
    def problems(self) -> list[dict[str, str]]:
        """What is wrong with the request, all at once."""
        found = self.body.get("problems", [])
        return found if isinstance(found, list) else []

    @property
    def request_id(self) -> str:
        """The id under which the gateway's log tells of this call, or empty."""
        return str(self.body.get("request_id") or "")

    def __str__(self) -> str:
        """Return the words, which a gateway has already translated."""
        return self.words


class Gateway(Struct, frozen=True):
    """Where a gateway is and the key to it; `source` says how that is known.

    `certificate` is the file of the one that it shows, where it is known to this machine.
    """

    url: str
    key: str
    source: str
    certificate: str = ""


class Event(Struct, frozen=True):
    """One event of a task's stream: `state log progress item artifact result`."""

    kind: str
    id: str
    data: Any


def find_gateway(
    *,
    url: str | None = None,
    key: str | None = None,
    home: Path | None = None,
    environ: Mapping[str, str] | None = None,
    lang: str = "en",
) -> Gateway:
    """Return the gateway to call: what is given, else the environment, else `client.toml`.

    The key of `client.toml` goes only to the address beside it.

    Raises:
        ClientError: `gateway_unknown`, or `client.toml` cannot be read.
    """
    environ = with_files(os.environ if environ is None else environ)
    home = home or Path(environ.get("ZSCRAPE_HOME") or default_home(environ))
    asked_url = url or environ.get("ZSCRAPE_URL") or ""
    asked_key = key or environ.get("ZSCRAPE_API_KEY") or ""
    path = home / CLIENT_FILE
    if asked_url and asked_key:
        return Gateway(asked_url.rstrip("/"), asked_key, "--url" if url else "ZSCRAPE_URL")
    kept_url, kept_key, certificate = _read_client_file(path, lang)
    if not asked_url and not kept_url:
        words = text("client.gateway_unknown", lang, path=path)
        raise ClientError("gateway_unknown", words)
    target = (asked_url or kept_url).rstrip("/")
    is_kept = target == kept_url.rstrip("/")
    key_found = asked_key or (kept_key if is_kept else "")
    source = str(path) if not asked_url else ("--url" if url else "ZSCRAPE_URL")
    return Gateway(target, key_found, source, certificate if is_kept else "")


def _read_client_file(path: Path, lang: str) -> tuple[str, str, str]:
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        return str(table["url"]), str(table["key"]), str(table.get("certificate", ""))
    except FileNotFoundError:
        return "", "", ""
    except (OSError, UnicodeError, tomllib.TOMLDecodeError, KeyError) as error:
        words = text("client.file_invalid", lang, path=path, reason=str(error))
        raise ClientError("config_invalid", words) from error


class Client:
    """Calls to one gateway. Use it in a `with`; one thread at a time."""

    def __init__(self, gateway: Gateway, *, lang: str = "en") -> None:
        self.gateway = gateway
        self._lang = lang
        headers = {
            "Accept-Language": lang,
            "User-Agent": f"zscrape/{__version__}",
        }
        if gateway.key:
            headers["Authorization"] = f"Bearer {gateway.key}"
        is_tls = gateway.url.startswith("https:")
        self._http = httpx.Client(
            base_url=gateway.url,
            headers=headers,
            timeout=_CALL_TIMEOUT_S,
            # Loading certificate authorities takes 87 ms, which a plain address has no use for.
            verify=_trust(gateway.certificate) if is_tls else ssl.SSLContext(_CLIENT_TLS),
            # A proxy meant for the internet cannot reach this machine's own loopback.
            trust_env=not is_loopback(urlsplit(gateway.url).hostname or ""),
        )

    def __enter__(self) -> Client:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections."""
        self._http.close()

    # ---- tasks -----------------------------------------------------------------------

    def run(
        self, script: str, parameters: Mapping[str, Any] | None = None, **options: Any
    ) -> Document:
        """Run a script to its end and return the envelope, whatever the outcome.

        Args:
            script: The script's name.
            parameters: Its parameters.
            options: Further fields of the call: `version`, `timeout`, `priority`, ...

        Raises:
            ClientError: The answer is not an envelope.
        """
        body = _request_body(script, parameters, options)
        timeout_s = None if body.get("timeout") is None else float(body["timeout"]) + 30.0
        response = self._send("POST", "/scrape", json=body, timeout=timeout_s)
        document = self._document(response)
        if isinstance(document, dict) and {"request_id", "status", "error"} <= document.keys():
            return document
        raise self._refusal(response)

    def submit(
        self, script: str, parameters: Mapping[str, Any] | None = None, **options: Any
    ) -> Document:
        """Queue a task and return `{request_id, status, links}` at once."""
        body = _request_body(script, parameters, options)
        return self._call("POST", "/v1/tasks", json=body)

    def submit_many(self, tasks: Sequence[Mapping[str, Any]]) -> list[Document]:
        """Queue up to 1,000 tasks: a view, or an `error`, for each in their order.

        With an `idempotency_key` in each this can be called again after a lost answer.
        """
        answer = self._call("POST", "/v1/tasks/batch", **_json({"tasks": tasks}), timeout=_MANY_S)
        views: list[Document] = answer["tasks"]
        return views

    def wait_many(
        self, task_ids: Sequence[str], *, wait_s: float = 30.0, count: int = 1, data: bool = False
    ) -> list[Document]:
        """Return those of up to 1,000 tasks that have ended, once `count` have or time is up.

        Args:
            task_ids: The tasks.
            wait_s: How long to wait at most.
            count: So many ends are worth an answer.
            data: The tasks in full, with their data.
        """
        body = {"ids": task_ids, "wait": wait_s, "count": count, "data": data}
        timeout_s = _CALL_TIMEOUT_S + wait_s
        answer = self._call("POST", "/v1/tasks/wait", **_json(body), timeout=timeout_s)
        ended: list[Document] = answer["tasks"]
        return ended

    def task(self, task_id: str, *, wait_s: float | None = None) -> Document:
        """Return a task, after waiting up to `wait_s` for its end."""
        params = {} if wait_s is None else {"wait": f"{wait_s:g}"}
        timeout_s = _CALL_TIMEOUT_S + (wait_s or 0.0)
        return self._call("GET", _task_path(task_id), params=params, timeout=timeout_s)

    def tasks(self, **filters: Any) -> Document:
        """Return one page of the history: `status script origin since limit cursor`."""
        return self._call("GET", "/v1/tasks", params=_given(filters))

    def export(self, form: str = "jsonl", **filters: Any) -> Iterator[bytes]:
        """Stream the history as `jsonl` or `csv`: `status script origin since limit data`."""
        return self._bytes("/v1/tasks/export", {"format": form, **_given(filters)})

    def cancel(self, task_id: str) -> Document:
        """End a task, gracefully and then by force. A task that has ended stays as it is."""
        return self._call("POST", _task_path(task_id, "cancel"))

    def cancel_many(self, **selection: Any) -> Document:
        """End many tasks: `ids`, or `status script origin since all`, and `limit`."""
        return self._call("POST", "/v1/tasks/cancel", json=_given(selection), timeout=_MANY_S)

    def retry(self, task_id: str) -> Document:
        """Do an ended task again: a new one with the same pin and parameters."""
        return self._call("POST", _task_path(task_id, "retry"))

    def dead_letters(self, **filters: Any) -> Document:
        """Return one page of the dead letters: `script reason since limit cursor`."""
        return self._call("GET", "/v1/deadletters", params=_given(filters))

    def retry_dead_letters(self, **selection: Any) -> Document:
        """Do dead letters again: `ids`, or `script reason since all`, and `limit`."""
        body = _given(selection)
        return self._call("POST", "/v1/deadletters/retry", json=body, timeout=_MANY_S)

    def drop_dead_letters(self, **selection: Any) -> Document:
        """Take tasks from the dead letters: `ids`, or `script reason since all`, and `limit`."""
        query = _given(selection)
        if "ids" in query:
            query["ids"] = ",".join(query["ids"])
        return self._call("DELETE", "/v1/deadletters", params=query, timeout=_MANY_S)

    def explain(self, task_id: str) -> Document:
        """Return why a task waits, or where it ran."""
        return self._call("GET", _task_path(task_id, "explain"))

    def result(self, task_id: str) -> bytes:
        """Return a task's data, however large, as JSON text."""
        return self._checked(self._send("GET", _task_path(task_id, "result"))).content

    def artifact(self, task_id: str, name: str) -> bytes:
        """Return a file that a task saved."""
        path = _task_path(task_id, f"artifacts/{quote(name, safe='')}")
        return self._checked(self._send("GET", path)).content

    def capsule(self, task_id: str, *, attempt: int | None = None) -> bytes:
        """Return the archive with all that is known of a failed attempt: by default, the last."""
        params = {} if attempt is None else {"attempt": attempt}
        path = _task_path(task_id, "capsule")
        return self._checked(self._send("GET", path, params=params, timeout=_MANY_S)).content

    def items(self, task_id: str) -> Iterator[Any]:
        """Stream a task's items."""
        return self._lines(_task_path(task_id, "items"), {"format": "jsonl"})

    def logs(self, task_id: str) -> Iterator[Document]:
        """Stream what a task has logged so far."""
        return self._lines(_task_path(task_id, "logs"), {})

    def events(self, task_id: str) -> Iterator[Event]:
        """Follow a task from its beginning to its `result` event.

        A broken stream is taken up again after the last event, a few times.

        Raises:
            ClientError: The task is unknown, or the stream cannot be had any more.
        """
        last_id = ""
        failed_count = 0
        while True:
            try:
                for event in self._events_once(task_id, last_id):
                    failed_count = 0
                    last_id = event.id or last_id
                    yield event
                    if event.kind == "result":
                        return
                failure = ClientError("gateway_unreachable", self._unreachable("stream closed"))
            except ClientError as error:
                if error.status:  # an answer: asking again would bring the same one
                    raise
                failure = error
            failed_count += 1
            if failed_count > _RECONNECT_COUNT:
                raise failure
            threading.Event().wait(_RECONNECT_FIRST_S * 2**failed_count)

    # ---- scripts, workers, the gateway itself ----------------------------------------

    def scripts(self) -> Document:
        """Return the catalogue: each script with its newest version."""
        return self._call("GET", "/v1/scripts")

    def schema(self, name: str, version: str | None = None) -> Document:
        """Return the JSON Schema of a script's parameters."""
        params = {"version": version} if version else {}
        return self._call("GET", f"/v1/scripts/{quote(name, safe='')}/schema", params=params)

    def script(self, name: str, version: str | None = None) -> Document:
        """Return one version of a script: manifest, digest, versions, channels, where cached."""
        params = {"version": version} if version else {}
        return self._call("GET", f"/v1/scripts/{quote(name, safe='')}", params=params)

    def refresh_scripts(self) -> Document:
        """Have the gateway look at every repository now; tells what has changed."""
        return self._call("POST", "/v1/scripts/refresh", timeout=_REFRESH_TIMEOUT_S)

    def prefetch(self, name: str, version: str | None = None) -> Document:
        """Have the workers get a script and its environment ready; tells which will."""
        body = {"script_name": name} | ({"version": version} if version else {})
        return self._call("POST", "/v1/scripts/prefetch", json=body, timeout=_REFRESH_TIMEOUT_S)

    def promote(self, name: str, channel: str, version: str) -> Document:
        """Let a channel of a script stand for the version that a request means now."""
        return self._call("PUT", _channel_path(name, channel), json={"version": version})

    def roll_back(self, name: str, channel: str) -> Document:
        """Let a channel of a script stand for the version that it stood for before."""
        return self._call("PUT", _channel_path(name, channel), json={"rollback": True})

    def overview(self) -> Document:
        """Return the figures of now and of each minute of the last hour."""
        return self._call("GET", "/v1/overview")

    def workers(self) -> Document:
        """Return the workers: load, tags, running attempts."""
        return self._call("GET", "/v1/workers")

    def drain(self, worker_id: str) -> Document:
        """Give a worker nothing new; what it runs goes on."""
        return self._call("POST", f"/v1/workers/{quote(worker_id, safe='')}/drain")

    def resume(self, worker_id: str) -> Document:
        """Give a drained worker work again."""
        return self._call("POST", f"/v1/workers/{quote(worker_id, safe='')}/resume")

    def keys(self) -> Document:
        """Return the API keys: what each may do, and when it was last used."""
        return self._call("GET", "/v1/keys")

    def create_key(self, **asked: Any) -> Document:
        """Make an API key: `name scopes scripts groups expires_in rate task_limit`.

        `key` is told this once.
        """
        return self._call("POST", "/v1/keys", json=_given(asked))

    def revoke_key(self, key_id: str) -> Document:
        """End an API key for good."""
        return self._call("DELETE", f"/v1/keys/{quote(key_id, safe='')}")

    def audit(self, **filters: Any) -> Document:
        """Return one page of who did what: `since actor action limit cursor`."""
        return self._call("GET", "/v1/audit", params=_given(filters))

    def export_audit(self, form: str = "jsonl", **filters: Any) -> Iterator[bytes]:
        """Stream the audit as `jsonl` or `csv`: `since actor action`."""
        return self._bytes("/v1/audit", {"format": form, **_given(filters)})

    def login_link(self) -> Document:
        """Return `url`, which signs a browser in as this client, once."""
        made = self._call("POST", "/v1/logins")
        return {**made, "url": f"{self.gateway.url}{made['path']}"}

    def remove_worker(self, worker_id: str) -> Document:
        """Forget a worker's key and cut it off; a token may let it join again."""
        return self._call("DELETE", f"/v1/workers/{quote(worker_id, safe='')}")

    def revoke_worker(self, worker_id: str) -> Document:
        """Refuse a worker's key for ever and cut it off."""
        return self._call("POST", f"/v1/workers/{quote(worker_id, safe='')}/revoke")

    def tokens(self) -> Document:
        """Return the join tokens, without what lets anybody in."""
        return self._call("GET", "/v1/tokens")

    def create_token(self, **asked: Any) -> Document:
        """Make a join token (`name`, `uses`, `expires_in`, `addresses`); only this tells it."""
        return self._call("POST", "/v1/tokens", json=asked)

    def revoke_token(self, token_id: str) -> Document:
        """Let nobody join by a token any more."""
        return self._call("DELETE", f"/v1/tokens/{quote(token_id, safe='')}")

    def rotate_link_key(self, overlap_s: float) -> Document:
        """Have the gateway take another key on the link, after `overlap_s`."""
        return self._call("POST", "/v1/tokens/rotate-key", json={"overlap": overlap_s})

    # ---- schedules and locks ---------------------------------------------------------

    def schedules(self, **filters: Any) -> Document:
        """Return one page of the schedules by name: `script limit cursor`."""
        return self._call("GET", "/v1/schedules", params=_given(filters))

    def schedule(self, schedule: str) -> Document:
        """Return a schedule, by its id or name, with its next ten moments."""
        return self._call("GET", _schedule_path(schedule))

    def preview_schedule(self, asked: Mapping[str, Any]) -> Document:
        """Return when a schedule would be due, without keeping it."""
        return self._call("POST", "/v1/schedules/preview", json=dict(asked))

    def add_schedule(self, asked: Mapping[str, Any]) -> Document:
        """Keep a schedule: `name script_name`, `cron` or `interval`, and what else it has."""
        return self._call("POST", "/v1/schedules", json=dict(asked))

    def change_schedule(self, schedule: str, change: Mapping[str, Any]) -> Document:
        """Change fields of a schedule; None brings a default back."""
        return self._call("PATCH", _schedule_path(schedule), json=dict(change))

    def remove_schedule(self, schedule: str) -> Document:
        """Forget a schedule; tasks that it has made go on."""
        return self._call("DELETE", _schedule_path(schedule))

    def act_on_schedule(self, schedule: str, act: str) -> Document:
        """Do one of `pause resume trigger` to a schedule; a trigger returns its task."""
        return self._call("POST", _schedule_path(schedule, act))

    def occurrences(self, schedule: str, **filters: Any) -> Document:
        """Return what became of a schedule's moments, newest first: `status limit cursor`."""
        path = _schedule_path(schedule, "occurrences")
        return self._call("GET", path, params=_given(filters))

    def locks(self, **filters: Any) -> Document:
        """Return who holds which key, the longest held first: `prefix limit`."""
        return self._call("GET", "/v1/locks", params=_given(filters))

    def break_lock(self, key: str, *, is_forced: bool = False) -> Document:
        """End the task that holds a key; by force free the key before its attempt is over."""
        path = f"/v1/locks/{quote(key, safe='')}"
        return self._call("DELETE", path, params={"force": "1"} if is_forced else {})

    def handoffs(self, **filters: Any) -> Document:
        """Return what running scripts ask people: `status task limit`."""
        return self._call("GET", "/v1/handoffs", params=_given(filters))

    def handoff(self, handoff_id: str) -> Document:
        """Return one question."""
        return self._call("GET", _handoff_path(handoff_id))

    def answer_handoff(self, handoff_id: str, answer: Mapping[str, Any]) -> Document:
        """Give a script what it asks for, by the names of its fields."""
        body = {"answer": dict(answer)}
        return self._call("POST", _handoff_path(handoff_id, "/answer"), json=body)

    def dismiss_handoff(self, handoff_id: str) -> Document:
        """Tell a script that nobody will answer."""
        return self._call("POST", _handoff_path(handoff_id, "/dismiss"))

    def sites(self) -> Document:
        """Return the sites that have a budget or were asked of late, and how they take it."""
        return self._call("GET", "/v1/sites")

    def set_site(self, site: str, **budget: Any) -> Document:
        """Set the budget of a site: `rate concurrency burst gap`; what is None has no limit."""
        return self._call("PUT", f"/v1/sites/{quote(site, safe='')}", json=_given(budget))

    def remove_site(self, site: str) -> None:
        """Remove the budget of a site."""
        self._checked(self._send("DELETE", f"/v1/sites/{quote(site, safe='')}"))

    def secrets(self) -> Document:
        """Return the names of secrets, and which scripts may read them."""
        return self._call("GET", "/v1/secrets")

    def set_secret(
        self, name: str, value: str | None = None, *, scripts: list[str] | None = None
    ) -> Document:
        """Keep a secret; what is None stays as it is. `scripts` are names or patterns."""
        body = {"name": name, **_given({"value": value, "scripts": scripts})}
        return self._call("POST", "/v1/secrets", json=body)

    def remove_secret(self, name: str) -> None:
        """Remove a secret."""
        self._checked(self._send("DELETE", f"/v1/secrets/{quote(name, safe='')}"))

    def script_state(self, script_name: str, **filters: Any) -> Document:
        """Return a page of what a script remembers: `prefix`, `limit`, `cursor`."""
        return self._call("GET", _state_path(script_name), params=_given(filters))

    def state_value(self, script_name: str, key: str) -> Document:
        """Return one thing that a script remembers, its `value` and its `revision`."""
        return self._call("GET", _state_path(script_name, key))

    def set_state(
        self, script_name: str, key: str, value: Any, *, revision: int | None = None
    ) -> Document:
        """Let a script remember a value; with `revision` only over the value that has it."""
        body = {"value": value, **_given({"revision": revision})}
        return self._call("PUT", _state_path(script_name, key), json=body)

    def remove_state(self, script_name: str, key: str) -> None:
        """Let a script forget one thing."""
        self._checked(self._send("DELETE", _state_path(script_name, key)))

    def clear_state(self, script_name: str) -> Document:
        """Let a script forget all that it remembers."""
        return self._call("DELETE", _state_path(script_name))

    def item_keys(self, script_name: str) -> Document:
        """Return how many keys of items are known of a script's runs."""
        return self._call("GET", _keys_path(script_name))

    def item_key(self, script_name: str, key: str) -> Document:
        """Return which task brought the item with this key, and until when that is known."""
        return self._call("GET", _keys_path(script_name, key))

    def forget_item_keys(self, script_name: str, key: str | None = None) -> Document:
        """Forget a key, or all keys, so that a script's next run brings the items again."""
        return self._call("DELETE", _keys_path(script_name, key))

    def sessions(self, site: str | None = None) -> Document:
        """Return every session with a site, or those with one; never a cookie's value."""
        return self._call("GET", "/v1/sessions", params=_given({"site": site}))

    def session(self, site: str, account: str) -> Document:
        """Return one session: how it is, and who has it."""
        return self._call("GET", _session_path(site, account))

    def put_session(
        self,
        site: str,
        account: str,
        *,
        cookies: list[Document] | None = None,
        scripts: list[str] | None = None,
        max_age_s: float | None = None,
    ) -> Document:
        """Keep a session; what is None stays as it is. `scripts` are names or patterns."""
        body = _given({"cookies": cookies, "scripts": scripts, "max_age_s": max_age_s})
        return self._call("PUT", _session_path(site, account), json=body)

    def remove_session(self, site: str, account: str) -> None:
        """Forget a session, also one that is leased."""
        self._checked(self._send("DELETE", _session_path(site, account)))

    def status(self) -> Document:
        """Return `/status`: queue length, active workers, memory and CPU. Needs no key."""
        return self._call("GET", "/status")

    # ---- transport -------------------------------------------------------------------

    def _call(self, method: str, path: str, **options: Any) -> Document:
        response = self._checked(self._send(method, path, **options))
        document = self._document(response)
        if isinstance(document, dict):
            return document
        raise self._not_ours(response)

    def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            return self._http.request(method, path, **options)
        except httpx.HTTPError as error:
            raise self._translate(error) from error

    def _lines(self, path: str, params: dict[str, str]) -> Iterator[Any]:
        try:
            with self._http.stream("GET", path, params=params) as response:
                if response.is_error:
                    response.read()
                for line in self._checked(response).iter_lines():
                    if line:
                        yield _json_or_text(line)
        except httpx.HTTPError as error:
            raise self._translate(error) from error

    def _bytes(self, path: str, params: dict[str, str]) -> Iterator[bytes]:
        try:
            with self._http.stream("GET", path, params=params) as response:
                if response.is_error:
                    response.read()
                yield from self._checked(response).iter_bytes()
        except httpx.HTTPError as error:
            raise self._translate(error) from error

    def _events_once(self, task_id: str, last_id: str) -> Iterator[Event]:
        headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": last_id} if last_id else {})
        timeout = httpx.Timeout(_CALL_TIMEOUT_S, read=_STREAM_SILENCE_S)
        path = _task_path(task_id, "events")
        try:
            with self._http.stream("GET", path, headers=headers, timeout=timeout) as response:
                if response.is_error:
                    response.read()
                yield from read_events(self._checked(response).iter_lines())
        except httpx.HTTPError as error:
            raise self._translate(error) from error

    def _checked(self, response: httpx.Response) -> httpx.Response:
        if response.is_success:
            return response
        raise self._refusal(response)

    def _refusal(self, response: httpx.Response) -> ClientError:
        document = self._document(response)
        if not isinstance(document, dict):
            return self._not_ours(response)
        inner = document.get("error")
        told = inner if isinstance(inner, dict) else document
        words = told.get("detail") or told.get("message") or told.get("title")
        code = str(told.get("code") or "answer_invalid")
        return ClientError(code, str(words or code), status=response.status_code, body=document)

    def _document(self, response: httpx.Response) -> Any:
        try:
            return msgspec.json.decode(response.content)
        except (msgspec.MsgspecError, UnicodeError, RecursionError):
            return None

    def _not_ours(self, response: httpx.Response) -> ClientError:
        words = text(
            "client.answer_invalid", self._lang, url=self.gateway.url, status=response.status_code
        )
        return ClientError("answer_invalid", words, status=response.status_code)

    def _translate(self, error: httpx.HTTPError) -> ClientError:
        reason = str(error) or type(error).__name__
        return ClientError("gateway_unreachable", self._unreachable(reason))

    def _unreachable(self, reason: str) -> str:
        return text("client.gateway_unreachable", self._lang, url=self.gateway.url, reason=reason)


def _trust(certificate: str) -> ssl.SSLContext | bool:
    """Return what tells a gateway's certificate: the system's authorities, or that one alone."""
    if not certificate:
        return True
    try:
        first = Path(certificate).read_text("ascii").partition(_PEM_END)
        context = ssl.create_default_context(cadata=first[0] + first[1])
    except (OSError, ValueError):  # it has gone or changed: the call says what is wrong with it
        return True
    # It is known by itself: its name may be another, and who has signed it does not matter.
    context.check_hostname = False
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    return context


def read_events(lines: Iterator[str]) -> Iterator[Event]:
    """Read server-sent events (HTML standard, 9.2.6); data that is not JSON stays text."""
    kind, last_id, data = "", "", list[str]()
    for line in lines:
        if not line:
            if data:
                yield Event(kind or "message", last_id, _json_or_text("\n".join(data)))
            kind, data = "", []
            continue
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "event":
            kind = value
        elif name == "data":
            data.append(value)
        elif name == "id":
            last_id = value


def _json_or_text(data: str) -> Any:
    try:
        return msgspec.json.decode(data)
    except msgspec.DecodeError:
        return data


def _request_body(
    script: str, parameters: Mapping[str, Any] | None, options: Mapping[str, Any]
) -> Document:
    return {"script_name": script, "parameters": dict(parameters or {}), **_given(options)}


def _json(body: Any) -> dict[str, Any]:
    """Return a body as `httpx` takes it; its own way of writing large ones is a slow one."""
    return {
        "content": msgspec.json.encode(body),
        "headers": {"Content-Type": "application/json"},
    }


def _given(options: Mapping[str, Any]) -> Document:
    return {name: value for name, value in options.items() if value is not None}


def _handoff_path(handoff_id: str, part: str = "") -> str:
    return f"/v1/handoffs/{quote(handoff_id, safe='')}{part}"


def _channel_path(name: str, channel: str) -> str:
    return f"/v1/scripts/{quote(name, safe='')}/channels/{quote(channel, safe='')}"


def _schedule_path(schedule: str, part: str = "") -> str:
    path = f"/v1/schedules/{quote(schedule, safe='')}"
    return f"{path}/{part}" if part else path


def _task_path(task_id: str, part: str = "") -> str:
    path = f"/v1/tasks/{quote(task_id, safe='')}"
    return f"{path}/{part}" if part else path


def _state_path(script_name: str, key: str | None = None) -> str:
    base = f"/v1/scripts/{quote(script_name, safe='')}/state"
    return base if key is None else f"{base}/{quote(key, safe='')}"


def _keys_path(script_name: str, key: str | None = None) -> str:
    base = f"/v1/scripts/{quote(script_name, safe='')}/keys"
    return base if key is None else f"{base}/{quote(key, safe='')}"


def _session_path(site: str, account: str) -> str:
    return f"/v1/sessions/{quote(site, safe='')}/{quote(account, safe='')}"
