-- Facts by minute of the request or bid. Keys are numbers; 0 means none or other. Measures only ever add up.
CREATE SCHEMA rollup;

-- Names of the numbers that code declares (reasons, operating systems, formats, kinds and flags of notices, arms).
-- aggregator/names.py writes them on every migration.
CREATE TABLE rollup.name (
    dimension text NOT NULL,
    key integer NOT NULL,
    name text NOT NULL,
    PRIMARY KEY (dimension, key)
);

-- From the counters: what came in, what we bid, and why we did not.
CREATE TABLE rollup.traffic_minute (
    minute timestamptz NOT NULL,
    exchange smallint NOT NULL,
    arm smallint NOT NULL,
    reason smallint NOT NULL, -- of no-bids; 0 in the rows that count requests and bids
    format smallint NOT NULL,
    os smallint NOT NULL,
    country integer NOT NULL, -- alpha-3, packed
    w integer NOT NULL,
    h integer NOT NULL,
    campaign bigint NOT NULL,
    creative bigint NOT NULL,
    deal bigint NOT NULL,
    inventory bigint NOT NULL,
    requests bigint NOT NULL DEFAULT 0,
    bids bigint NOT NULL DEFAULT 0,
    nobids bigint NOT NULL DEFAULT 0,
    bid_nano bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (minute, exchange, arm, reason, format, os, country, w, h, campaign, creative, deal, inventory)
) PARTITION BY RANGE (minute);

-- From the durable stream: the first notice of each kind for each bid.
CREATE TABLE rollup.notice_minute (
    minute timestamptz NOT NULL,
    exchange smallint NOT NULL,
    arm smallint NOT NULL,
    format smallint NOT NULL,
    os smallint NOT NULL,
    country integer NOT NULL,
    w integer NOT NULL,
    h integer NOT NULL,
    campaign bigint NOT NULL,
    creative bigint NOT NULL,
    deal bigint NOT NULL,
    inventory bigint NOT NULL,
    wins bigint NOT NULL DEFAULT 0,
    bills bigint NOT NULL DEFAULT 0,
    losses bigint NOT NULL DEFAULT 0,
    impressions bigint NOT NULL DEFAULT 0,
    clicks bigint NOT NULL DEFAULT 0,
    conversions bigint NOT NULL DEFAULT 0,
    spend_nano bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (minute, exchange, arm, format, os, country, w, h, campaign, creative, deal, inventory)
) PARTITION BY RANGE (minute);

CREATE TABLE rollup.latency_minute (
    minute timestamptz NOT NULL,
    exchange smallint NOT NULL,
    arm smallint NOT NULL,
    bucket smallint NOT NULL, -- answered within 2^bucket microseconds
    n bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (minute, exchange, arm, bucket)
) PARTITION BY RANGE (minute);

-- Notices that booked nothing, by what was wrong with them.
CREATE TABLE rollup.flagged_minute (
    minute timestamptz NOT NULL,
    exchange smallint NOT NULL,
    campaign bigint NOT NULL,
    kind smallint NOT NULL,
    flags smallint NOT NULL,
    n bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (minute, exchange, campaign, kind, flags)
) PARTITION BY RANGE (minute);

CREATE FUNCTION rollup.country_code(packed integer) RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE WHEN packed > 0 THEN
    chr(65 + (packed - 1) / 676) || chr(65 + (packed - 1) / 26 % 26) || chr(65 + (packed - 1) % 26) END;
