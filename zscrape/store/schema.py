"""The tables, defined once for every database; `migrations` says how they came to be.

Only migrations load this: what runs finds a new file's tables in `newest`.

What is searched for has a column of its own; the rest of a task is one document (`row`), so
that a new field of `TaskRow` needs no migration. Small logs stand in the task's own row,
longer ones in chunks: a short call costs one row and no more.
"""

from __future__ import annotations

from typing import Final

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    text,
)

METADATA: Final = MetaData()

_ROW_NUMBER: Final = BigInteger().with_variant(Integer, "sqlite")  # else no alias of the rowid

TASKS: Final = Table(
    "tasks",
    METADATA,
    Column("seq", _ROW_NUMBER, primary_key=True, autoincrement=True),  # in order of acceptance
    Column("id", String(64), nullable=False),
    Column("client", String(255), nullable=False),
    Column("idempotency_key", String(255)),  # NULL: none
    Column("script_name", String(255), nullable=False),
    Column("origin", String(16), nullable=False),
    Column("status", String(16), nullable=False),
    Column("created_at", Float(53), nullable=False),  # moments are Unix time
    Column("finished_at", Float(53)),  # NULL iff it has not ended
    Column("result_key", LargeBinary(16)),  # of a completed task: what it was asked
    Column("has_output", Boolean, nullable=False),  # items or artifacts among its chunks
    Column("is_dead_letter", Boolean, nullable=False),
    Column("dropped_reason", String(32)),  # NULL: it never was a dead letter
    Column("is_unsent", Boolean, nullable=False),  # somebody is still to be told of its end
    Column("parameters", LargeBinary, nullable=False),
    Column("spec", LargeBinary),  # NULL: not taken up again after a restart
    Column("row", LargeBinary, nullable=False),
    Column("log", LargeBinary, nullable=False),  # the end of its log, as far as in no chunk
    Column("checksum", BigInteger, nullable=False),  # over the four before it
    Column("owner", String(64)),  # the gateway that looks after it; NULL where there is only one
    Column("group_name", Text),  # as its metadata says; NULL: none
)
Index("tasks_id", TASKS.c.id, unique=True)
Index(
    "tasks_idempotency",
    TASKS.c.client,
    TASKS.c.idempotency_key,
    unique=True,
    sqlite_where=text("idempotency_key IS NOT NULL"),
    postgresql_where=text("idempotency_key IS NOT NULL"),
)
Index(
    "tasks_live",
    TASKS.c.seq,
    sqlite_where=text("finished_at IS NULL"),
    postgresql_where=text("finished_at IS NULL"),
)
Index("tasks_finished", TASKS.c.finished_at)
Index(
    "tasks_result",
    TASKS.c.result_key,
    TASKS.c.finished_at,
    sqlite_where=text("result_key IS NOT NULL"),
    postgresql_where=text("result_key IS NOT NULL"),
)
Index(
    "tasks_output",
    TASKS.c.finished_at,
    sqlite_where=text("has_output"),
    postgresql_where=text("has_output"),
)

Index(
    "tasks_dead",
    TASKS.c.seq,
    sqlite_where=text("is_dead_letter"),
    postgresql_where=text("is_dead_letter"),
)
Index(
    "tasks_unsent",
    TASKS.c.seq,
    sqlite_where=text("is_unsent"),
    postgresql_where=text("is_unsent"),
)

Index(
    "tasks_owned",
    TASKS.c.owner,
    TASKS.c.seq,
    sqlite_where=text("finished_at IS NULL"),
    postgresql_where=text("finished_at IS NULL"),
)

CHUNKS: Final = Table(
    "chunks",
    METADATA,
    Column("task_id", String(64), primary_key=True),
    Column("first_number", BigInteger, primary_key=True),
    Column("last_number", BigInteger, nullable=False),
    Column("kind", String(16), nullable=False),  # `item`, `artifact`, or `note` for the rest
    Column("attempt", Integer, nullable=False),
    Column("entry_count", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("checksum", BigInteger, nullable=False),
)

RESULTS: Final = Table(
    "results",
    METADATA,
    Column("task_id", String(64), primary_key=True),
    Column("data", LargeBinary, nullable=False),  # too large to be read with every look at a row
    Column("checksum", BigInteger, nullable=False),
)

# ---- several gateways on one database --------------------------------------------------

GATEWAYS: Final = Table(
    "gateways",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("boot", String(32), nullable=False),  # one life of it: what it writes is fenced by it
    Column("lease_until", Float(53), nullable=False),  # by the database's clock, Unix time
)

CANCELS: Final = Table(  # wishes that the owner of a task is yet to hear
    "cancels",
    METADATA,
    Column("task_id", String(64), primary_key=True),
    Column("asked_at", Float(53), nullable=False),
)

LOCKS: Final = Table(
    "locks",
    METADATA,
    Column("key", String(255), primary_key=True),
    Column("gateway", String(64), nullable=False),  # it is held as long as this one's lease
    Column("holder", String(64), nullable=False),  # a task
    Column("since", Float(53), nullable=False),
    Column("fence", BigInteger, nullable=False),  # rises with every holder
)

# What clients have used up, of limits that hold over all gateways together.
RATE_BUCKETS: Final = Table(
    "rate_buckets",
    METADATA,
    Column("name", String(300), primary_key=True),  # `client:` or `script:`, and whose it is
    Column("tokens", Float(53), nullable=False),  # below 0: a debt
    Column("at", Float(53), nullable=False),  # by the database's clock, Unix time
)

CLIENT_COUNTS: Final = Table(
    "client_counts",
    METADATA,
    Column("gateway", String(64), primary_key=True),
    Column("client", String(255), primary_key=True),
    Column("task_count", Integer, nullable=False),  # that have not ended
)

# ---- who may call, and who did what ----------------------------------------------------

API_KEYS: Final = Table(
    "api_keys",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("name", String(255), nullable=False),
    Column("prefix", String(32), nullable=False),  # its first letters, to tell it from others
    Column("digest", LargeBinary(32), nullable=False),  # SHA-256 of the key: itself is kept nowhere
    Column("scopes", String(255), nullable=False),  # by spaces
    Column("scripts", String(8_000), nullable=False),  # a JSON array of patterns; empty: all
    Column("rate_per_s", Float(53)),  # NULL: as the gateway is set
    Column("group_names", Text, nullable=False, server_default="[]"),  # a JSON array; empty: all
    Column("task_limit_count", Integer),  # of tasks that have not ended; NULL: as it is set
    Column("created_at", Float(53), nullable=False),
    Column("created_by", String(255), nullable=False),
    Column("expires_at", Float(53)),  # NULL: never
    Column("revoked_at", Float(53)),  # NULL iff it may still be used
    Column("last_used_at", Float(53)),  # to the minute
)
Index("api_keys_digest", API_KEYS.c.digest, unique=True)

AUDIT: Final = Table(
    "audit",
    METADATA,
    Column("seq", _ROW_NUMBER, primary_key=True, autoincrement=True),
    Column("at", Float(53), nullable=False),
    Column("actor", String(255), nullable=False),  # id of a key, `jwt:` and a subject, or a user
    Column("action", String(64), nullable=False),
    Column("target", String(255), nullable=False),
    Column("address", String(64), nullable=False),  # from where
    Column("result", String(64), nullable=False),  # `ok`, or the code of the error
    Column("request_id", String(64), nullable=False),
)
Index("audit_at", AUDIT.c.at)

# ---- what is kept outside ------------------------------------------------------------

BLOBS: Final = Table(
    "blobs",
    METADATA,
    Column("task_id", String(64), primary_key=True),
    Column("kind", String(16), primary_key=True),  # `item`, `artifact` or `result`
    Column("number", BigInteger, primary_key=True),  # of the entry or chunk; 0 of the result
    Column("attempt", Integer, nullable=False),
    Column("key", String(64), nullable=False),  # where it is
    Column("size_bytes", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False),
)
Index("blobs_key", BLOBS.c.key, unique=True)

# ---- who may dial the link: public keys only, nothing that lets anybody in ------------

JOIN_TOKENS: Final = Table(
    "join_tokens",
    METADATA,
    Column("key", String(64), primary_key=True),
    Column("id", String(64), nullable=False),
    Column("name", String(255), nullable=False),
    Column("created_at", Float(53), nullable=False),
    Column("expires_at", Float(53)),  # NULL: never
    Column("uses_limit_count", Integer),  # NULL: any number of workers
    Column("used_count", Integer, nullable=False),
    Column("revoked_at", Float(53)),
)

WORKER_KEYS: Final = Table(
    "worker_keys",
    METADATA,
    Column("key", String(64), primary_key=True),
    Column("worker_id", String(64), nullable=False),
    Column("token_id", String(64), nullable=False),
    Column("joined_at", Float(53), nullable=False),
    Column("revoked_at", Float(53)),
)
Index(  # an id belongs to one key, whichever gateway lets it in
    "worker_keys_id",
    WORKER_KEYS.c.worker_id,
    unique=True,
    sqlite_where=text("revoked_at IS NULL"),
    postgresql_where=text("revoked_at IS NULL"),
)

# ---- schedules -----------------------------------------------------------------------

SCHEDULES: Final = Table(
    "schedules",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("name", String(255), nullable=False),
    Column("script_name", String(255), nullable=False),
    Column("is_paused", Boolean, nullable=False),
    Column("pause_reason", String(32), nullable=False),  # empty: none, or a person's wish
    Column("failure_count", Integer, nullable=False),  # in a row
    Column("revision", BigInteger, nullable=False),  # rises with every change
    Column("cursor_at", Float(53), nullable=False),  # moments up to here are dealt with
    Column("created_at", Float(53), nullable=False),
    Column("updated_at", Float(53), nullable=False),
    Column("body", LargeBinary, nullable=False),  # what was asked, one JSON document
    Column("checksum", BigInteger, nullable=False),  # over the body
)
Index("schedules_name", SCHEDULES.c.name, unique=True)

OCCURRENCES: Final = Table(
    "occurrences",
    METADATA,
    # Inserting the row claims the moment: of gateways at once, one does.
    Column("schedule_id", String(64), primary_key=True),
    Column("due_ms", BigInteger, primary_key=True),  # whole: a key is not to be rounded
    Column("status", String(32), nullable=False),
    Column("is_manual", Boolean, nullable=False),  # a person's trigger, not the timetable
    Column("task_id", String(64), nullable=False),  # empty: there is none
    Column("at", Float(53), nullable=False),  # when it was dealt with
    Column("reason", String(64), nullable=False),  # a code; empty: nothing to tell
    Column("detail", LargeBinary, nullable=False),  # what fills the reason's words, JSON
    # The life of a gateway that is at it; empty: the only gateway there is.
    Column("claimer", String(32), nullable=False, server_default=""),
)
Index("occurrences_due", OCCURRENCES.c.due_ms)
Index(
    "occurrences_claimed",
    OCCURRENCES.c.schedule_id,
    sqlite_where=text("status = 'claimed'"),
    postgresql_where=text("status = 'claimed'"),
)

# ---- questions to people ----------------------------------------------------------------

HANDOFFS: Final = Table(
    "handoffs",
    METADATA,
    Column("id", String(64), primary_key=True),
    Column("task_id", String(64), nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("request", BigInteger, nullable=False),  # which question of its attempt
    Column("script_name", String(255), nullable=False),
    Column("client", String(255), nullable=False),
    Column("status", String(16), nullable=False),
    Column("mark", String(64), nullable=False),  # equal questions have equal marks
    Column("created_at", Float(53), nullable=False),
    Column("expires_at", Float(53), nullable=False),
    Column("ended_at", Float(53)),  # NULL iff it is open
    Column("actor", String(255), nullable=False),  # who ended it; empty: time, or the task
    Column("question", LargeBinary, nullable=False),  # JSON
    Column("answer", LargeBinary, nullable=False),  # JSON; empty: none, or its task has ended
)
Index("handoffs_task", HANDOFFS.c.task_id, HANDOFFS.c.attempt)
Index("handoffs_created", HANDOFFS.c.created_at)
Index(
    "handoffs_open",
    HANDOFFS.c.created_at,
    sqlite_where=text("status = 'open'"),
    postgresql_where=text("status = 'open'"),
)

# ---- secrets of scripts, sealed ---------------------------------------------------------

SECRETS: Final = Table(
    "secrets",
    METADATA,
    Column("name", String(64), primary_key=True),
    Column("sealed", LargeBinary, nullable=False),  # see `zscrape.gateway.sealing`
    Column("key_id", String(32), nullable=False),  # which key opens it, and not the key
    Column("scripts", Text, nullable=False),  # JSON: names, or patterns of names
    Column("created_at", Float(53), nullable=False),
    Column("updated_at", Float(53), nullable=False),
)

# ---- sites ------------------------------------------------------------------------------

SITE_BUDGETS: Final = Table(  # as operators have set them; NULL: no limit
    "site_budgets",
    METADATA,
    Column("site", String(255), primary_key=True),
    Column("rate_per_s", Float(53)),
    Column("concurrency_count", Integer),
    Column("burst_count", Integer),
    Column("gap_s", Float(53)),
    Column("updated_at", Float(53), nullable=False),
    Column("updated_by", String(255), nullable=False),  # as in the audit
)

SITE_STATES: Final = Table(  # what several gateways must agree on; a gateway alone has no row
    "site_states",
    METADATA,
    Column("site", String(255), primary_key=True),
    Column("state", LargeBinary, nullable=False),  # see `zscrape.core.sitepace`
    Column("at", Float(53), nullable=False),  # of its last change, by the database's clock
)
Index("site_states_at", SITE_STATES.c.at)


# ---- what scripts remember between runs -------------------------------------------------

SCRIPT_STATE: Final = Table(
    "script_state",
    METADATA,
    Column("script_name", String(255), primary_key=True),
    Column("key", String(255), primary_key=True),
    Column("value", LargeBinary, nullable=False),  # one JSON document
    Column("revision", BigInteger, nullable=False),  # rises with every change, a new start too
    Column("writer", String(128), nullable=False),  # the question or the call that wrote it
    Column("updated_at", Float(53), nullable=False),
)

ITEM_KEYS: Final = Table(  # of attempts that ended well: an item with one is a duplicate
    "item_keys",
    METADATA,
    Column("script_name", String(255), primary_key=True),
    Column("digest", LargeBinary(16), primary_key=True),
    Column("task_id", String(64), nullable=False),
    Column("expires_at", Float(53), nullable=False),
)
Index("item_keys_expires", ITEM_KEYS.c.expires_at)

PENDING_ITEM_KEYS: Final = Table(  # of attempts that go on
    "pending_item_keys",
    METADATA,
    Column("task_id", String(64), primary_key=True),
    Column("attempt", Integer, primary_key=True),
    Column("digest", LargeBinary(16), primary_key=True),
    Column("script_name", String(255), nullable=False),
    Column("kept_s", Float(53), nullable=False),  # for how long, once its attempt ends well
    Column("asked_at", Float(53), nullable=False),
)

SITE_SESSIONS: Final = Table(
    "site_sessions",
    METADATA,
    Column("site", String(255), primary_key=True),
    Column("account", String(255), primary_key=True),
    Column("sealed", LargeBinary, nullable=False),  # the cookies; see `zscrape.gateway.sealing`
    Column("key_id", String(32), nullable=False),
    Column("scripts", Text, nullable=False),  # JSON: names, or patterns of names
    Column("status", String(16), nullable=False),  # `good` or `bad`
    Column("reason", String(255), nullable=False),  # why it is bad
    Column("cookie_count", Integer, nullable=False),
    Column("use_count", BigInteger, nullable=False),  # leases granted
    Column("bad_count", BigInteger, nullable=False),  # times it was found bad
    Column("revision", BigInteger, nullable=False),  # rises with every change of the cookies
    Column("created_at", Float(53), nullable=False),
    Column("updated_at", Float(53), nullable=False),
    Column("used_at", Float(53)),  # NULL: never
    Column("expires_at", Float(53)),  # NULL: it does not age
)

SESSION_LEASES: Final = Table(
    "session_leases",
    METADATA,
    Column("site", String(255), primary_key=True),
    Column("account", String(255), primary_key=True),
    Column("task_id", String(64), primary_key=True),
    Column("attempt", Integer, primary_key=True),
    Column("is_exclusive", Boolean, nullable=False),
    Column("granted_at", Float(53), nullable=False),
)
Index("session_leases_task", SESSION_LEASES.c.task_id)
