-- One text for SQLite and PostgreSQL: ids are TEXT, moments are Unix milliseconds, money is in minor
-- units, and what is absent in a key is ''.

-- An origin: the first sight of an identifier. root_id is a cache of the person it belongs to.
CREATE TABLE profiles (
    origin_id TEXT PRIMARY KEY,
    brand_id TEXT NOT NULL,
    root_id TEXT NOT NULL,
    identifier_type TEXT NOT NULL,
    identifier_value TEXT NOT NULL,
    first_event_id TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX profiles_by_root ON profiles (root_id);
CREATE INDEX profiles_by_brand ON profiles (brand_id, origin_id);

-- An identifier belongs to one origin for ever.
CREATE TABLE identifiers (
    brand_id TEXT NOT NULL,
    type TEXT NOT NULL,
    value TEXT NOT NULL,
    origin_id TEXT NOT NULL,
    raw TEXT NOT NULL,
    rule_version BIGINT NOT NULL,
    first_event_id TEXT NOT NULL,
    first_seen_at BIGINT NOT NULL,
    PRIMARY KEY (brand_id, type, value)
);
CREATE INDEX identifiers_by_origin ON identifiers (origin_id);

-- Facts of an origin that are minima and maxima.
CREATE TABLE origin_facts (
    origin_id TEXT PRIMARY KEY,
    brand_id TEXT NOT NULL,
    first_seen_at BIGINT NOT NULL,
    last_seen_at BIGINT NOT NULL,
    last_purchase_at BIGINT
);

-- Facts of an origin that are sums: its events of one type and currency on one UTC day.
CREATE TABLE origin_days (
    origin_id TEXT NOT NULL,
    day BIGINT NOT NULL,
    event_type TEXT NOT NULL,
    currency TEXT NOT NULL,
    events BIGINT NOT NULL,
    amount_minor BIGINT NOT NULL,
    PRIMARY KEY (origin_id, day, event_type, currency)
);

-- A brand's events of one type and currency in one minute, hour or day.
CREATE TABLE brand_buckets (
    brand_id TEXT NOT NULL,
    grain TEXT NOT NULL,
    event_type TEXT NOT NULL,
    bucket_start BIGINT NOT NULL,
    currency TEXT NOT NULL,
    events BIGINT NOT NULL,
    amount_minor BIGINT NOT NULL,
    PRIMARY KEY (brand_id, grain, event_type, bucket_start, currency)
);

-- Orders that were counted: an order counts once, whatever the ids of the events that tell of it.
CREATE TABLE orders (
    brand_id TEXT NOT NULL,
    order_id TEXT NOT NULL,
    event_id TEXT NOT NULL,
    counted_at BIGINT NOT NULL,
    PRIMARY KEY (brand_id, order_id)
);

-- When a person's predictions were last asked for.
CREATE TABLE prediction_requests (
    profile_id TEXT PRIMARY KEY,
    brand_id TEXT NOT NULL,
    requested_at BIGINT NOT NULL
);
CREATE INDEX prediction_requests_by_age ON prediction_requests (requested_at);

-- Messages that are to be published because of something that was committed with them.
CREATE TABLE outbox (
    id TEXT PRIMARY KEY,
    topic TEXT NOT NULL,
    fields TEXT NOT NULL,
    created_at BIGINT NOT NULL
);
CREATE INDEX outbox_by_age ON outbox (created_at, id);

-- The ids of the messages whose effects are in this database, one row for a batch, as ranges.
CREATE TABLE applied_batches (
    stage TEXT NOT NULL,
    last_major BIGINT NOT NULL,
    first_major BIGINT NOT NULL,
    batch_id TEXT NOT NULL,
    ids TEXT NOT NULL,
    applied_at BIGINT NOT NULL,
    PRIMARY KEY (stage, last_major, batch_id)
);
