-- Campaigns as operators keep them. Keys are small numbers that tokens, counters and rollups carry; ids are the users'.
CREATE SCHEMA config;

-- One row. Raised in the same transaction as any change below; a book carries the revision that it reflects.
CREATE TABLE config.revision (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    revision bigint NOT NULL
);
INSERT INTO config.revision (revision) VALUES (1);

CREATE TABLE config.exchange (
    key smallint PRIMARY KEY CHECK (key BETWEEN 1 AND 63),
    name text NOT NULL UNIQUE,
    spend_on text NOT NULL DEFAULT 'billing' CHECK (spend_on IN ('billing', 'win', 'impression'))
);
COMMENT ON TABLE config.exchange IS 'Copied from the settings by the controller when it starts.';

CREATE TABLE config.advertiser (
    key integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id text NOT NULL UNIQUE
);

CREATE TABLE config.campaign (
    key integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    id text NOT NULL UNIQUE,
    advertiser integer NOT NULL REFERENCES config.advertiser,
    status text NOT NULL CHECK (status IN ('active', 'paused', 'archived')),
    body jsonb NOT NULL,
    -- budgets, taken out of the body so that leases need not read it; NULL: no such limit
    total_nano bigint CHECK (total_nano >= 0),
    daily_nano bigint CHECK (daily_nano >= 0),
    hourly_nano bigint CHECK (hourly_nano >= 0),
    even boolean NOT NULL DEFAULT false,
    timezone text NOT NULL DEFAULT 'UTC',
    flight_start timestamptz,
    flight_end timestamptz,
    revision bigint NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON COLUMN config.campaign.body IS 'The import format, normalised (bidder/campaigns/model.py); status and budget here and in the body always agree.';

CREATE TABLE config.creative (
    key integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    campaign integer NOT NULL REFERENCES config.campaign,
    id text NOT NULL,
    UNIQUE (campaign, id)
);
COMMENT ON TABLE config.creative IS 'Never deleted: clicks arrive days after a creative was taken out.';

-- Deals, bundles and domains that campaigns name: the only ones that counters know.
CREATE TABLE config.term (
    key integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    kind text NOT NULL CHECK (kind IN ('deal', 'inventory')),
    value text NOT NULL,
    UNIQUE (kind, value)
);

CREATE SCHEMA ledger;

-- A host's right to spend from one campaign's budget in one budget hour.
CREATE TABLE ledger.lease (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    campaign integer NOT NULL REFERENCES config.campaign,
    host text NOT NULL,
    hour timestamptz NOT NULL, -- start of the budget hour
    day date NOT NULL, -- the day it belongs to in the campaign's zone
    amount_nano bigint NOT NULL CHECK (amount_nano >= 0),
    granted_at timestamptz NOT NULL DEFAULT now(),
    take_until timestamptz NOT NULL,
    settle_until timestamptz NOT NULL,
    revision bigint NOT NULL, -- of the campaign when the amount was last worked out
    closed_at timestamptz,
    UNIQUE (campaign, host, hour)
);
CREATE INDEX ON ledger.lease (host) WHERE closed_at IS NULL;

-- What the notices of a lease's bids have cost, by minute of the bid. Written by the aggregator only.
CREATE TABLE ledger.lease_minute (
    lease bigint NOT NULL,
    minute integer NOT NULL, -- UTC minutes since 1970
    spent_nano bigint NOT NULL DEFAULT 0,
    closed_nano bigint NOT NULL DEFAULT 0, -- reservations of bids that were billed or lost
    PRIMARY KEY (lease, minute)
);
