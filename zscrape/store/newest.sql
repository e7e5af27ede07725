CREATE TABLE alembic_version (
    version_num VARCHAR(32) NOT NULL,
    CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num)
);

CREATE TABLE tasks (
    seq INTEGER NOT NULL,
    id VARCHAR(64) NOT NULL,
    client VARCHAR(255) NOT NULL,
    idempotency_key VARCHAR(255),
    script_name VARCHAR(255) NOT NULL,
    origin VARCHAR(16) NOT NULL,
    status VARCHAR(16) NOT NULL,
    created_at FLOAT NOT NULL,
    finished_at FLOAT,
    result_key BLOB,
    has_output BOOLEAN NOT NULL,
    is_dead_letter BOOLEAN NOT NULL,
    dropped_reason VARCHAR(32),
    is_unsent BOOLEAN NOT NULL,
    parameters BLOB NOT NULL,
    spec BLOB,
    "row" BLOB NOT NULL,
    log BLOB NOT NULL,
    checksum BIGINT NOT NULL, owner VARCHAR(64), group_name TEXT,
    PRIMARY KEY (seq)
);

CREATE UNIQUE INDEX tasks_id ON tasks (id);

CREATE UNIQUE INDEX tasks_idempotency ON tasks (client, idempotency_key) WHERE idempotency_key IS NOT NULL;

CREATE INDEX tasks_live ON tasks (seq) WHERE finished_at IS NULL;

CREATE INDEX tasks_finished ON tasks (finished_at);

CREATE INDEX tasks_result ON tasks (result_key, finished_at) WHERE result_key IS NOT NULL;

CREATE INDEX tasks_output ON tasks (finished_at) WHERE has_output;

CREATE INDEX tasks_dead ON tasks (seq) WHERE is_dead_letter;

CREATE INDEX tasks_unsent ON tasks (seq) WHERE is_unsent;

CREATE TABLE chunks (
    task_id VARCHAR(64) NOT NULL,
    first_number BIGINT NOT NULL,
    last_number BIGINT NOT NULL,
    kind VARCHAR(16) NOT NULL,
    attempt INTEGER NOT NULL,
    entry_count INTEGER NOT NULL,
    body BLOB NOT NULL,
    checksum BIGINT NOT NULL,
    PRIMARY KEY (task_id, first_number)
);

CREATE TABLE results (
    task_id VARCHAR(64) NOT NULL,
    data BLOB NOT NULL,
    checksum BIGINT NOT NULL,
    PRIMARY KEY (task_id)
);

CREATE INDEX tasks_owned ON tasks (owner, seq) WHERE finished_at IS NULL;

CREATE TABLE gateways (
    id VARCHAR(64) NOT NULL,
    boot VARCHAR(32) NOT NULL,
    lease_until FLOAT NOT NULL,
    PRIMARY KEY (id)
);

CREATE TABLE cancels (
    task_id VARCHAR(64) NOT NULL,
    asked_at FLOAT NOT NULL,
    PRIMARY KEY (task_id)
);

CREATE TABLE locks (
    "key" VARCHAR(255) NOT NULL,
    gateway VARCHAR(64) NOT NULL,
    holder VARCHAR(64) NOT NULL,
    since FLOAT NOT NULL,
    fence BIGINT NOT NULL,
    PRIMARY KEY ("key")
);

CREATE TABLE blobs (
    task_id VARCHAR(64) NOT NULL,
    kind VARCHAR(16) NOT NULL,
    number BIGINT NOT NULL,
    attempt INTEGER NOT NULL,
    "key" VARCHAR(64) NOT NULL,
    size_bytes BIGINT NOT NULL,
    sha256 VARCHAR(64) NOT NULL,
    PRIMARY KEY (task_id, kind, number)
);

CREATE UNIQUE INDEX blobs_key ON blobs ("key");

CREATE TABLE join_tokens (
    "key" VARCHAR(64) NOT NULL,
    id VARCHAR(64) NOT NULL,
    name VARCHAR(255) NOT NULL,
    created_at FLOAT NOT NULL,
    expires_at FLOAT,
    uses_limit_count INTEGER,
    used_count INTEGER NOT NULL,
    revoked_at FLOAT,
    PRIMARY KEY ("key")
);

CREATE TABLE worker_keys (
    "key" VARCHAR(64) NOT NULL,
    worker_id VARCHAR(64) NOT NULL,
    token_id VARCHAR(64) NOT NULL,
    joined_at FLOAT NOT NULL,
    revoked_at FLOAT,
    PRIMARY KEY ("key")
);

CREATE TABLE api_keys (
    id VARCHAR(64) NOT NULL,
    name VARCHAR(255) NOT NULL,
    prefix VARCHAR(32) NOT NULL,
    digest BLOB NOT NULL,
    scopes VARCHAR(255) NOT NULL,
    scripts VARCHAR(8000) NOT NULL,
    rate_per_s FLOAT,
    created_at FLOAT NOT NULL,
    created_by VARCHAR(255) NOT NULL,
    expires_at FLOAT,
    revoked_at FLOAT,
    last_used_at FLOAT, group_names TEXT DEFAULT '[]' NOT NULL, task_limit_count INTEGER,
    PRIMARY KEY (id)
);

CREATE UNIQUE INDEX api_keys_digest ON api_keys (digest);

CREATE TABLE audit (
    seq INTEGER NOT NULL,
    at FLOAT NOT NULL,
    actor VARCHAR(255) NOT NULL,
    action VARCHAR(64) NOT NULL,
    target VARCHAR(255) NOT NULL,
    address VARCHAR(64) NOT NULL,
    result VARCHAR(64) NOT NULL,
    request_id VARCHAR(64) NOT NULL,
    PRIMARY KEY (seq)
);

CREATE INDEX audit_at ON audit (at);

CREATE TABLE secrets (
    name VARCHAR(64) NOT NULL,
    sealed BLOB NOT NULL,
    key_id VARCHAR(32) NOT NULL,
    scripts TEXT NOT NULL,
    created_at FLOAT NOT NULL,
    updated_at FLOAT NOT NULL,
    PRIMARY KEY (name)
);

CREATE TABLE schedules (
    id VARCHAR(64) NOT NULL,
    name VARCHAR(255) NOT NULL,
    script_name VARCHAR(255) NOT NULL,
    is_paused BOOLEAN NOT NULL,
    pause_reason VARCHAR(32) NOT NULL,
    failure_count INTEGER NOT NULL,
    revision BIGINT NOT NULL,
    cursor_at FLOAT NOT NULL,
    created_at FLOAT NOT NULL,
    updated_at FLOAT NOT NULL,
    body BLOB NOT NULL,
    checksum BIGINT NOT NULL,
    PRIMARY KEY (id)
);

CREATE UNIQUE INDEX schedules_name ON schedules (name);

CREATE TABLE occurrences (
    schedule_id VARCHAR(64) NOT NULL,
    due_ms BIGINT NOT NULL,
    status VARCHAR(32) NOT NULL,
    is_manual BOOLEAN NOT NULL,
    task_id VARCHAR(64) NOT NULL,
    at FLOAT NOT NULL,
    reason VARCHAR(64) NOT NULL,
    detail BLOB NOT NULL, claimer VARCHAR(32) DEFAULT '' NOT NULL,
    PRIMARY KEY (schedule_id, due_ms)
);

CREATE INDEX occurrences_due ON occurrences (due_ms);

CREATE INDEX occurrences_claimed ON occurrences (schedule_id) WHERE status = 'claimed';

CREATE UNIQUE INDEX worker_keys_id ON worker_keys (worker_id) WHERE revoked_at IS NULL;

CREATE TABLE rate_buckets (
    name VARCHAR(300) NOT NULL,
    tokens FLOAT NOT NULL,
    at FLOAT NOT NULL,
    PRIMARY KEY (name)
);

CREATE TABLE client_counts (
    gateway VARCHAR(64) NOT NULL,
    client VARCHAR(255) NOT NULL,
    task_count INTEGER NOT NULL,
    PRIMARY KEY (gateway, client)
);

CREATE TABLE site_budgets (
    site VARCHAR(255) NOT NULL,
    rate_per_s FLOAT,
    concurrency_count INTEGER,
    burst_count INTEGER,
    gap_s FLOAT,
    updated_at FLOAT NOT NULL,
    updated_by VARCHAR(255) NOT NULL,
    PRIMARY KEY (site)
);

CREATE TABLE site_states (
    site VARCHAR(255) NOT NULL,
    state BLOB NOT NULL,
    at FLOAT NOT NULL,
    PRIMARY KEY (site)
);

CREATE INDEX site_states_at ON site_states (at);

CREATE TABLE script_state (
    script_name VARCHAR(255) NOT NULL,
    "key" VARCHAR(255) NOT NULL,
    value BLOB NOT NULL,
    revision BIGINT NOT NULL,
    writer VARCHAR(128) NOT NULL,
    updated_at FLOAT NOT NULL,
    PRIMARY KEY (script_name, "key")
);

CREATE TABLE item_keys (
    script_name VARCHAR(255) NOT NULL,
    digest BLOB NOT NULL,
    task_id VARCHAR(64) NOT NULL,
    expires_at FLOAT NOT NULL,
    PRIMARY KEY (script_name, digest)
);

CREATE INDEX item_keys_expires ON item_keys (expires_at);

CREATE TABLE pending_item_keys (
    task_id VARCHAR(64) NOT NULL,
    attempt INTEGER NOT NULL,
    digest BLOB NOT NULL,
    script_name VARCHAR(255) NOT NULL,
    kept_s FLOAT NOT NULL,
    asked_at FLOAT NOT NULL,
    PRIMARY KEY (task_id, attempt, digest)
);

CREATE TABLE site_sessions (
    site VARCHAR(255) NOT NULL,
    account VARCHAR(255) NOT NULL,
    sealed BLOB NOT NULL,
    key_id VARCHAR(32) NOT NULL,
    scripts TEXT NOT NULL,
    status VARCHAR(16) NOT NULL,
    reason VARCHAR(255) NOT NULL,
    cookie_count INTEGER NOT NULL,
    use_count BIGINT NOT NULL,
    bad_count BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    created_at FLOAT NOT NULL,
    updated_at FLOAT NOT NULL,
    used_at FLOAT,
    expires_at FLOAT,
    PRIMARY KEY (site, account)
);

CREATE TABLE session_leases (
    site VARCHAR(255) NOT NULL,
    account VARCHAR(255) NOT NULL,
    task_id VARCHAR(64) NOT NULL,
    attempt INTEGER NOT NULL,
    is_exclusive BOOLEAN NOT NULL,
    granted_at FLOAT NOT NULL,
    PRIMARY KEY (site, account, task_id, attempt)
);

CREATE INDEX session_leases_task ON session_leases (task_id);

CREATE TABLE handoffs (
    id VARCHAR(64) NOT NULL,
    task_id VARCHAR(64) NOT NULL,
    attempt INTEGER NOT NULL,
    request BIGINT NOT NULL,
    script_name VARCHAR(255) NOT NULL,
    client VARCHAR(255) NOT NULL,
    status VARCHAR(16) NOT NULL,
    mark VARCHAR(64) NOT NULL,
    created_at FLOAT NOT NULL,
    expires_at FLOAT NOT NULL,
    ended_at FLOAT,
    actor VARCHAR(255) NOT NULL,
    question BLOB NOT NULL,
    answer BLOB NOT NULL,
    PRIMARY KEY (id)
);

CREATE INDEX handoffs_task ON handoffs (task_id, attempt);

CREATE INDEX handoffs_created ON handoffs (created_at);

CREATE INDEX handoffs_open ON handoffs (created_at) WHERE status = 'open';
