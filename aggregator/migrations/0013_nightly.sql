-- What runs once a night: looking whether everything adds up, and giving up what is old.

GRANT INSERT, UPDATE ON ops.shard TO bookkeeper;

-- As in 0002, but whoever waited for another to make the leaf sees it for certain: what to_regclass once did not find it may not
-- find again until the next statement; a query looks anew.
CREATE OR REPLACE FUNCTION ops.ensure_partition(parent regclass, leaf text, low text, high text) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    space text := (SELECT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = parent);
BEGIN
    IF EXISTS (SELECT FROM pg_class WHERE relname = leaf AND relnamespace = space::regnamespace) THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('ops.ensure_partition'), hashtext(leaf));
    IF EXISTS (SELECT FROM pg_class WHERE relname = leaf AND relnamespace = space::regnamespace) THEN
        RETURN; -- another aggregator was first
    END IF;
    EXECUTE format('CREATE TABLE %I.%I (LIKE %s INCLUDING ALL) WITH (fillfactor = 80)', space, leaf, parent);
    EXECUTE format('ALTER TABLE %s ATTACH PARTITION %I.%I FOR VALUES FROM (%L) TO (%L)', parent, space, leaf, low, high);
END
$$;

-- Bids of minutes before these are given up: `bids` for all notices but conversions, `clicks` for conversions. What still speaks of
-- them counts as expired. `transfers`: those of minutes before it may be gone. A horizon is raised before anything is dropped, while nobody books (advisory lock 0x0B1D001).
CREATE TABLE ops.horizon (
    what text PRIMARY KEY CHECK (what IN ('bids', 'clicks', 'transfers')),
    minute integer NOT NULL
);
INSERT INTO ops.horizon VALUES ('bids', 0), ('clicks', 0), ('transfers', 0);

-- One row a night; whoever inserts it does the work.
CREATE TABLE ops.night (
    day date PRIMARY KEY,
    host text NOT NULL,
    began_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    ended_at timestamptz,
    differences integer,
    report jsonb
);

CREATE VIEW report.night AS SELECT day, host, began_at, ended_at, differences, report FROM ops.night;
COMMENT ON VIEW report.night IS 'What each night''s reconcile found.';
COMMENT ON COLUMN report.night.day IS 'The day that was looked at, UTC';
COMMENT ON COLUMN report.night.host IS 'Where it ran';
COMMENT ON COLUMN report.night.began_at IS 'When it began';
COMMENT ON COLUMN report.night.ended_at IS 'When it was done; NULL: under way, or it broke off';
COMMENT ON COLUMN report.night.differences IS 'How many differences there were; 0: everything agrees';
COMMENT ON COLUMN report.night.report IS 'The differences, as `outbid reconcile --json` has them';

CREATE VIEW report.audit AS SELECT at, actor, verb, subject, detail FROM ops.audit;
COMMENT ON VIEW report.audit IS 'What was done by hand to money: bills reviewed, fees set.';
COMMENT ON COLUMN report.audit.at IS 'When';
COMMENT ON COLUMN report.audit.actor IS 'Who: the user of the system';
COMMENT ON COLUMN report.audit.verb IS 'With which verb';
COMMENT ON COLUMN report.audit.subject IS 'To what';
COMMENT ON COLUMN report.audit.detail IS 'How much, why, and which bids';

-- Leases that were closed long ago are folded into their campaigns: money that they still owe is settled by a transfer, what they paid
-- for stands under their campaign, and nothing of them is left. Balances of all others stay what they were.
CREATE FUNCTION ledger.retire_leases(closed_before timestamptz, most integer) RETURNS integer LANGUAGE plpgsql AS $$
DECLARE
    ids bigint[];
    names text[];
BEGIN
    SELECT array_agg(id), array_agg('lease:' || id) INTO ids, names
    FROM (SELECT id FROM ledger.lease WHERE closed_at < closed_before ORDER BY id LIMIT most FOR UPDATE SKIP LOCKED) l;
    IF ids IS NULL THEN
        RETURN 0;
    END IF;
    PERFORM ledger.ensure_transfers(now());

    INSERT INTO ledger.transfer (debit, credit, reason, minute, amount_nano)
    SELECT CASE WHEN s.nano < 0 THEN 'campaign:' || l.campaign ELSE 'lease:' || l.id END,
        CASE WHEN s.nano < 0 THEN 'lease:' || l.id ELSE 'campaign:' || l.campaign END,
        CASE WHEN s.nano < 0 THEN 'settle' ELSE 'return' END,
        floor(extract(epoch FROM now()) / 60)::integer, abs(s.nano)
    FROM ledger.lease l
    JOIN (
        SELECT name, sum(nano)::bigint AS nano FROM (
            SELECT credit::text AS name, amount_nano AS nano FROM ledger.total WHERE credit = ANY (names)
            UNION ALL SELECT debit::text, -amount_nano FROM ledger.total WHERE debit = ANY (names)
        ) side GROUP BY name
    ) s ON s.name = 'lease:' || l.id
    WHERE l.id = ANY (ids) AND s.nano <> 0;

    INSERT INTO ledger.campaign_day AS d (campaign, day, exchange, overspend_nano)
    SELECT l.campaign, l.day, 0, sum(s.spent - l.amount_nano)::bigint
    FROM ledger.lease l
    JOIN LATERAL (
        SELECT sum(amount_nano) AS spent FROM ledger.total WHERE debit = 'lease:' || l.id AND reason = 'media'
    ) s ON s.spent > l.amount_nano
    WHERE l.id = ANY (ids) GROUP BY 1, 2 ORDER BY 1, 2
    ON CONFLICT (campaign, day, exchange) DO UPDATE SET overspend_nano = d.overspend_nano + EXCLUDED.overspend_nano;

    INSERT INTO ledger.total AS t (debit, credit, reason, amount_nano, transfers)
    SELECT 'campaign:' || l.campaign, m.credit, 'media', sum(m.amount_nano)::bigint, sum(m.transfers)::bigint
    FROM ledger.total m JOIN ledger.lease l ON m.debit = 'lease:' || l.id
    WHERE l.id = ANY (ids) AND m.reason = 'media' GROUP BY 1, 2 ORDER BY 1, 2
    ON CONFLICT (debit, credit, reason)
    DO UPDATE SET amount_nano = t.amount_nano + EXCLUDED.amount_nano, transfers = t.transfers + EXCLUDED.transfers;

    DELETE FROM ledger.total WHERE debit = ANY (names) OR credit = ANY (names);
    DELETE FROM ledger.lease_minute WHERE lease = ANY (ids);
    DELETE FROM ledger.lease WHERE id = ANY (ids);
    RETURN cardinality(ids);
END
$$;
CREATE INDEX ON ledger.lease (closed_at) WHERE closed_at IS NOT NULL;

-- Totals by day instead of all leases of all time.
CREATE OR REPLACE VIEW report.budget AS
SELECT c.id AS campaign, a.id AS advertiser, c.status, c.timezone,
    c.total_nano * 0.000000001 AS total_usd, c.daily_nano * 0.000000001 AS daily_usd,
    c.hourly_nano * 0.000000001 AS hourly_usd,
    coalesce(s.spent, 0)::bigint AS spend_nano_usd, coalesce(s.spent, 0) * 0.000000001 AS spend_usd,
    coalesce(s.spent_today, 0) * 0.000000001 AS spend_today_usd,
    coalesce(o.leased, 0) * 0.000000001 AS leased_usd
FROM config.campaign c
JOIN config.advertiser a ON a.key = c.advertiser
LEFT JOIN LATERAL (
    SELECT sum(d.spent_nano) AS spent,
        sum(d.spent_nano) FILTER (WHERE d.day = (now() AT TIME ZONE c.timezone)::date) AS spent_today
    FROM ledger.campaign_day d WHERE d.campaign = c.key
) s ON true
LEFT JOIN LATERAL (
    SELECT sum(l.amount_nano) AS leased FROM ledger.lease l WHERE l.campaign = c.key AND l.closed_at IS NULL
) o ON true;
