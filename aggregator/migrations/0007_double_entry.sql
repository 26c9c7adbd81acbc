-- Double entry that the database itself enforces: transfers are only ever added, by a role that can do nothing else to them,
-- and what they add up to is kept beside them. What advertisers are charged, totals by day, receipts, review of suspense.

-- Roles are of the whole cluster, as in 0005. From Postgres 16 on, who makes a role may not act as it until he is granted that.
DO $$
DECLARE
    to_act text := CASE WHEN current_setting('server_version_num')::integer >= 160000 THEN 'SET' ELSE 'MEMBER' END;
BEGIN
    BEGIN
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'bookkeeper') THEN
            CREATE ROLE bookkeeper NOLOGIN;
        END IF;
    EXCEPTION WHEN duplicate_object OR unique_violation THEN
        NULL;
    END;
    IF NOT pg_has_role(current_user, 'bookkeeper', to_act) THEN
        GRANT bookkeeper TO CURRENT_USER;
    END IF;
EXCEPTION WHEN insufficient_privilege THEN
    RAISE EXCEPTION 'group bookkeeper is missing or not ours; run as a superuser: CREATE ROLE bookkeeper NOLOGIN; GRANT bookkeeper TO %',
        quote_ident(current_user);
END
$$;

-- What we add to media cost when we charge the advertiser, in millionths of it. Bids that are booked from now on pay it.
ALTER TABLE config.advertiser ADD COLUMN fee_ppm integer NOT NULL DEFAULT 0 CHECK (fee_ppm BETWEEN 0 AND 10000000);

-- Who did what by hand.
CREATE TABLE ops.audit (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at timestamptz NOT NULL DEFAULT clock_timestamp(),
    actor text NOT NULL,
    verb text NOT NULL,
    subject text NOT NULL,
    detail jsonb NOT NULL DEFAULT '{}'
);

-- A leaf of a partitioned table is made with the rights of the owner, so that who writes needs no right to make tables.
ALTER FUNCTION ops.ensure_partition(regclass, text, text, text) SECURITY DEFINER;
ALTER FUNCTION ops.ensure_partition(regclass, text, text, text) SET search_path = pg_catalog, pg_temp;
REVOKE ALL ON FUNCTION ops.ensure_partition(regclass, text, text, text) FROM PUBLIC;

-- Transfers ---------------------------------------------------------------------------------------------------------------

DROP VIEW report.ledger;
DROP VIEW ledger.balance;
ALTER TABLE ledger.transfer RENAME TO transfer_before;
ALTER TABLE ledger.transfer_before RENAME CONSTRAINT transfer_pkey TO transfer_before_pkey;

-- An account is named by what it stands for: kind:number. advertiser, campaign, lease; media (what we owe an exchange),
-- fee (what we earn from an advertiser); suspense and claim (what an exchange asks for and nobody has accepted yet).
-- (A regular expression would say the same and cost ten times as much, for every row that is posted.)
CREATE DOMAIN ledger.account_name AS text CHECK (
    rtrim(VALUE, '0123456789') IN ('advertiser:', 'campaign:', 'lease:', 'media:', 'fee:', 'suspense:', 'claim:')
    AND right(VALUE, 1) <> ':'
);

-- Which kinds of accounts a reason moves money between.
CREATE FUNCTION ledger.may_move(reason text, debit text, credit text) RETURNS boolean LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN CASE reason
    WHEN 'media' THEN (debit LIKE 'lease:%' OR debit LIKE 'campaign:%') AND credit LIKE 'media:%'
    WHEN 'charge' THEN debit LIKE 'advertiser:%' AND credit LIKE 'campaign:%'
    WHEN 'fee' THEN debit LIKE 'campaign:%' AND credit LIKE 'fee:%'
    WHEN 'grant' THEN debit LIKE 'campaign:%' AND credit LIKE 'lease:%'
    WHEN 'return' THEN debit LIKE 'lease:%' AND credit LIKE 'campaign:%'
    WHEN 'settle' THEN debit LIKE 'campaign:%' AND credit LIKE 'lease:%'
    WHEN 'suspense' THEN debit LIKE 'suspense:%' AND credit LIKE 'claim:%'
    WHEN 'accept' THEN debit LIKE 'claim:%' AND credit LIKE 'suspense:%'
    WHEN 'reject' THEN debit LIKE 'claim:%' AND credit LIKE 'suspense:%'
    ELSE false END;

-- Every row takes from one account what it gives to another, so all balances together are zero. Rows are never changed:
-- one a batch, pair of accounts, reason and minute; what was wrong is set right by another row.
CREATE SEQUENCE ledger.transfer_id;
CREATE TABLE ledger.transfer (
    at timestamptz NOT NULL DEFAULT now(), -- when it was posted
    id bigint NOT NULL DEFAULT nextval('ledger.transfer_id'),
    debit ledger.account_name NOT NULL,
    credit ledger.account_name NOT NULL CHECK (credit <> debit),
    reason text NOT NULL,
    minute integer NOT NULL, -- UTC minutes since 1970: of the bid where there is one, of the deed otherwise
    amount_nano bigint NOT NULL CHECK (amount_nano > 0),
    PRIMARY KEY (at, id),
    CHECK (ledger.may_move(reason, debit, credit))
) PARTITION BY RANGE (at);

-- What all transfers of a pair of accounts and a reason add up to; stays when old transfers are given up.
-- Again a row is a transfer: whatever is done to it, the balances of all accounts add up to zero.
CREATE TABLE ledger.total (
    debit ledger.account_name NOT NULL,
    credit ledger.account_name NOT NULL CHECK (credit <> debit),
    reason text NOT NULL,
    amount_nano bigint NOT NULL CHECK (amount_nano > 0),
    transfers bigint NOT NULL DEFAULT 1,
    PRIMARY KEY (debit, credit, reason)
) WITH (fillfactor = 80);
CREATE INDEX ON ledger.total (credit);

-- Whoever posts calls this before: a table that is being written to cannot get a leaf.
CREATE FUNCTION ledger.ensure_transfers(day timestamptz) RETURNS void LANGUAGE plpgsql AS $$
DECLARE
    begins timestamptz := date_trunc('day', day, 'UTC');
    leaf text := 'transfer_' || to_char(begins AT TIME ZONE 'UTC', 'YYYYMMDD');
BEGIN
    IF to_regclass('ledger.' || leaf) IS NULL THEN
        PERFORM ops.ensure_partition('ledger.transfer', leaf, begins::text, (begins + interval '1 day')::text);
    END IF;
END
$$;
ALTER FUNCTION ledger.ensure_transfers(timestamptz) SET TimeZone = 'UTC';

CREATE FUNCTION ledger.transfer_totalled() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    unbalanced bigint;
BEGIN
    -- What campaigns are charged for is what they spent and our fee: of every posting, not only in the long run.
    SELECT coalesce(sum(CASE WHEN reason = 'charge' THEN amount_nano WHEN reason IN ('media', 'fee') THEN -amount_nano END), 0)
    INTO unbalanced FROM fresh;
    IF unbalanced <> 0 THEN
        RAISE EXCEPTION 'a posting charges % nano-USD more than media cost and fee', unbalanced
            USING ERRCODE = 'integrity_constraint_violation';
    END IF;
    INSERT INTO ledger.total AS t (debit, credit, reason, amount_nano, transfers)
    SELECT debit, credit, reason, sum(amount_nano)::bigint, count(*) FROM fresh
    GROUP BY debit, credit, reason ORDER BY debit, credit, reason
    ON CONFLICT (debit, credit, reason)
    DO UPDATE SET amount_nano = t.amount_nano + EXCLUDED.amount_nano, transfers = t.transfers + EXCLUDED.transfers;
    RETURN NULL;
END
$$;

CREATE FUNCTION ledger.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '% of %.%: what is posted stays as it is; post what sets it right', TG_OP, TG_TABLE_SCHEMA, TG_TABLE_NAME
        USING ERRCODE = 'restrict_violation';
END
$$;

CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON ledger.transfer FOR EACH ROW EXECUTE FUNCTION ledger.refuse();
CREATE TRIGGER not_emptied BEFORE TRUNCATE ON ledger.transfer FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse();
CREATE TRIGGER not_emptied BEFORE TRUNCATE ON ledger.total FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse();
CREATE TRIGGER append_only BEFORE UPDATE OR DELETE ON ops.audit FOR EACH ROW EXECUTE FUNCTION ledger.refuse();
CREATE TRIGGER not_emptied BEFORE TRUNCATE ON ops.audit FOR EACH STATEMENT EXECUTE FUNCTION ledger.refuse();

SELECT ledger.ensure_transfers(now());
-- What was posted so far, into leaves of the days on which it was last added to.
SELECT ledger.ensure_transfers(day) FROM (SELECT DISTINCT date_trunc('day', at, 'UTC') FROM ledger.transfer_before) AS d (day);
INSERT INTO ledger.transfer (at, debit, credit, reason, minute, amount_nano)
SELECT at, debit, credit, reason, minute, amount_nano FROM ledger.transfer_before;
-- Advertisers were not charged yet: one row a campaign makes up for it.
INSERT INTO ledger.transfer (debit, credit, reason, minute, amount_nano)
SELECT 'advertiser:' || coalesce(c.advertiser, 0), 'campaign:' || s.campaign, 'charge',
    floor(extract(epoch FROM now()) / 60)::integer, s.spent
FROM (
    SELECT CASE WHEN t.debit LIKE 'lease:%' THEN coalesce(l.campaign, 0) ELSE split_part(t.debit, ':', 2)::integer END AS campaign,
        sum(t.amount_nano)::bigint AS spent
    FROM ledger.transfer_before t
    LEFT JOIN ledger.lease l ON t.debit LIKE 'lease:%' AND l.id = split_part(t.debit, ':', 2)::bigint
    WHERE t.reason = 'media' GROUP BY 1
) s LEFT JOIN config.campaign c ON c.key = s.campaign;
INSERT INTO ledger.total (debit, credit, reason, amount_nano, transfers)
SELECT debit, credit, reason, sum(amount_nano)::bigint, count(*) FROM ledger.transfer GROUP BY 1, 2, 3;
DROP TABLE ledger.transfer_before;
DROP TABLE ledger.account;
CREATE TRIGGER totalled AFTER INSERT ON ledger.transfer REFERENCING NEW TABLE AS fresh
FOR EACH STATEMENT EXECUTE FUNCTION ledger.transfer_totalled();

CREATE VIEW ledger.balance AS
SELECT s.name, split_part(s.name, ':', 1) AS kind, split_part(s.name, ':', 2)::bigint AS ref,
    sum(s.debit) AS debits_nano, sum(s.credit) AS credits_nano, sum(s.credit - s.debit) AS balance_nano
FROM (
    SELECT debit::text AS name, amount_nano AS debit, 0 AS credit FROM ledger.total
    UNION ALL SELECT credit::text, 0, amount_nano FROM ledger.total
) s GROUP BY s.name;

-- Totals ------------------------------------------------------------------------------------------------------------------

-- What a campaign has spent of each of its days, kept in the transaction that books. `day`: of the lease that paid; without one,
-- that of the bid's minute in the campaign's zone. What concerns no exchange stands in exchange 0.
CREATE TABLE ledger.campaign_day (
    campaign bigint NOT NULL,
    day date NOT NULL,
    exchange smallint NOT NULL,
    spent_nano bigint NOT NULL DEFAULT 0,
    fee_nano bigint NOT NULL DEFAULT 0,
    late_nano bigint NOT NULL DEFAULT 0, -- of spent_nano, what was billed after its reservation had been given back
    bills bigint NOT NULL DEFAULT 0,
    granted_nano bigint NOT NULL DEFAULT 0, -- to leases
    returned_nano bigint NOT NULL DEFAULT 0, -- by leases
    overspend_nano bigint NOT NULL DEFAULT 0, -- of leases that are given up: what they cost beyond their amount
    PRIMARY KEY (campaign, day, exchange)
) WITH (fillfactor = 70);

-- What exchanges may invoice: by the hour of receipt of what was booked.
CREATE TABLE ledger.receipt_hour (
    hour timestamptz NOT NULL,
    exchange smallint NOT NULL,
    campaign bigint NOT NULL,
    bills bigint NOT NULL DEFAULT 0,
    amount_nano bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (hour, exchange, campaign)
) WITH (fillfactor = 70);

INSERT INTO ledger.campaign_day (campaign, day, exchange, spent_nano, bills)
SELECT b.campaign, coalesce(l.day, (to_timestamp(('x' || encode(substring(b.bid_id FROM 1 FOR 4), 'hex'))::bit(32)::bigint * 60)
        AT TIME ZONE coalesce(c.timezone, 'UTC'))::date), b.exchange, sum(b.spent_nano)::bigint, count(*)
FROM ledger.bid b LEFT JOIN ledger.lease l ON l.id = b.lease LEFT JOIN config.campaign c ON c.key = b.campaign
WHERE b.spent_nano > 0 GROUP BY 1, 2, 3;
INSERT INTO ledger.campaign_day AS d (campaign, day, exchange, granted_nano, returned_nano)
SELECT l.campaign, l.day, 0, sum(t.amount_nano) FILTER (WHERE t.reason = 'grant'),
    coalesce(sum(t.amount_nano) FILTER (WHERE t.reason = 'return'), 0)
FROM ledger.total t
JOIN ledger.lease l ON l.id = split_part(CASE t.reason WHEN 'grant' THEN t.credit ELSE t.debit END, ':', 2)::bigint
WHERE t.reason IN ('grant', 'return') GROUP BY 1, 2;
INSERT INTO ledger.receipt_hour (hour, exchange, campaign, bills, amount_nano)
SELECT date_trunc('hour', coalesce(spent_at, to_timestamp(('x' || encode(substring(bid_id FROM 1 FOR 4), 'hex'))::bit(32)::bigint * 60)),
        'UTC'), exchange, campaign, count(*), sum(spent_nano)::bigint
FROM ledger.bid WHERE spent_nano > 0 GROUP BY 1, 2, 3;

-- Grants ------------------------------------------------------------------------------------------------------------------

-- Grants (moved > 0) and returns (moved < 0) between campaigns and their leases; as in 0003, but for rows that are never changed.
CREATE OR REPLACE FUNCTION ledger.post_grants(campaigns integer[], leases bigint[], moved bigint[]) RETURNS void
LANGUAGE plpgsql AS $$
BEGIN
    PERFORM ledger.ensure_transfers(now());

    INSERT INTO ledger.transfer (debit, credit, reason, minute, amount_nano)
    SELECT CASE WHEN nano > 0 THEN 'campaign:' || campaign ELSE 'lease:' || lease END,
        CASE WHEN nano > 0 THEN 'lease:' || lease ELSE 'campaign:' || campaign END,
        CASE WHEN nano > 0 THEN 'grant' ELSE 'return' END,
        floor(extract(epoch FROM now()) / 60)::integer,
        abs(nano)
    FROM unnest(campaigns, leases, moved) AS m (campaign, lease, nano) WHERE nano <> 0;

    INSERT INTO ledger.campaign_day AS d (campaign, day, exchange, granted_nano, returned_nano)
    SELECT m.campaign, l.day, 0, sum(greatest(nano, 0))::bigint, sum(greatest(-nano, 0))::bigint
    FROM unnest(campaigns, leases, moved) AS m (campaign, lease, nano) JOIN ledger.lease l ON l.id = m.lease
    WHERE nano <> 0 GROUP BY 1, 2 ORDER BY 1, 2
    ON CONFLICT (campaign, day, exchange) DO UPDATE
    SET granted_nano = d.granted_nano + EXCLUDED.granted_nano, returned_nano = d.returned_nano + EXCLUDED.returned_nano;
END
$$;

-- Suspense ----------------------------------------------------------------------------------------------------------------

ALTER TABLE ledger.suspense
    ADD COLUMN notice bytea, -- all that it says, as the stream has it; NULL: older than this column
    ADD COLUMN state text NOT NULL DEFAULT 'open' CHECK (state IN ('open', 'accepted', 'rejected')),
    ADD COLUMN reviewed_at timestamptz,
    ADD COLUMN reviewed_by text,
    ADD COLUMN note text,
    ADD CHECK ((state = 'open') = (reviewed_at IS NULL));
CREATE INDEX ON ledger.suspense (received_at) WHERE state = 'open';
INSERT INTO ledger.transfer (debit, credit, reason, minute, amount_nano)
SELECT 'suspense:' || exchange, 'claim:' || exchange, 'suspense', floor(extract(epoch FROM now()) / 60)::integer,
    sum(price_nano)::bigint
FROM ledger.suspense GROUP BY exchange;

-- Reports -----------------------------------------------------------------------------------------------------------------

CREATE VIEW report.ledger AS
SELECT b.name AS account, b.kind, c.id AS campaign, e.name AS exchange,
    b.debits_nano * 0.000000001 AS debits_usd, b.credits_nano * 0.000000001 AS credits_usd,
    b.balance_nano::bigint AS balance_nano_usd, b.balance_nano * 0.000000001 AS balance_usd,
    coalesce(a.id, ca.id) AS advertiser
FROM ledger.balance b
LEFT JOIN ledger.lease l ON b.kind = 'lease' AND l.id = b.ref
LEFT JOIN config.campaign c ON c.key = CASE b.kind WHEN 'campaign' THEN b.ref WHEN 'lease' THEN l.campaign END
LEFT JOIN config.advertiser a ON b.kind IN ('advertiser', 'fee') AND a.key = b.ref
LEFT JOIN config.advertiser ca ON ca.key = c.advertiser
LEFT JOIN config.exchange e ON b.kind IN ('media', 'suspense', 'claim') AND e.key = b.ref;
COMMENT ON VIEW report.ledger IS 'Balances of all accounts; they add up to zero. Advertisers are charged what campaigns spend and our fee; grants go from campaign to lease, media cost from lease to the exchange, what was not spent back to the campaign.';
COMMENT ON COLUMN report.ledger.account IS 'kind:number';
COMMENT ON COLUMN report.ledger.kind IS 'advertiser (owes us below zero), campaign, lease, media (what we owe an exchange), fee (what we earned), suspense and claim (bills under review)';
COMMENT ON COLUMN report.ledger.campaign IS 'Campaign id, of campaign and lease accounts';
COMMENT ON COLUMN report.ledger.exchange IS 'Name of the exchange, of media, suspense and claim accounts';
COMMENT ON COLUMN report.ledger.debits_usd IS 'Taken from it, in US dollars';
COMMENT ON COLUMN report.ledger.credits_usd IS 'Given to it, in US dollars';
COMMENT ON COLUMN report.ledger.balance_nano_usd IS 'credits - debits, in billionths of a US dollar';
COMMENT ON COLUMN report.ledger.balance_usd IS 'credits - debits, in US dollars';
COMMENT ON COLUMN report.ledger.advertiser IS 'Advertiser id, of all accounts that are one''s';

CREATE VIEW report.money AS
SELECT f.day, a.id AS advertiser, coalesce(c.id, '#' || f.campaign) AS campaign,
    CASE WHEN f.exchange > 0 THEN coalesce(e.name, '#' || f.exchange) END AS exchange,
    f.granted AS granted_nano_usd, f.returned AS returned_nano_usd, f.spent AS spent_nano_usd,
    f.late AS late_nano_usd, f.overspend AS overspend_nano_usd, f.suspense AS suspense_nano_usd,
    f.fee AS fee_nano_usd, f.spent + f.fee AS charged_nano_usd, f.granted - f.returned - f.spent AS balance_nano_usd, f.bills
FROM (
    SELECT campaign, day, exchange, granted_nano AS granted, returned_nano AS returned, spent_nano AS spent, late_nano AS late,
        overspend_nano AS overspend, 0::bigint AS suspense, fee_nano AS fee, bills
    FROM ledger.campaign_day
    UNION ALL
    SELECT l.campaign, l.day, 0::smallint, 0, 0, 0, 0, (s.spent - l.amount_nano)::bigint, 0, 0, 0
    FROM ledger.lease l
    JOIN LATERAL (
        SELECT sum(amount_nano) AS spent FROM ledger.total WHERE debit = 'lease:' || l.id AND reason = 'media'
    ) s ON s.spent > l.amount_nano
    UNION ALL
    SELECT s.campaign, (to_timestamp(('x' || encode(substring(s.bid_id FROM 1 FOR 4), 'hex'))::bit(32)::bigint * 60)
        AT TIME ZONE coalesce(c.timezone, 'UTC'))::date, s.exchange, 0, 0, 0, 0, 0, s.price_nano, 0, 0
    FROM ledger.suspense s LEFT JOIN config.campaign c ON c.key = s.campaign WHERE s.state = 'open'
) f
LEFT JOIN config.campaign c ON c.key = f.campaign
LEFT JOIN config.advertiser a ON a.key = c.advertiser
LEFT JOIN config.exchange e ON e.key = f.exchange;
COMMENT ON VIEW report.money IS 'Budgets and money by day of the campaign. Grants, returns and overspend concern no exchange (NULL). Always sum.';
COMMENT ON COLUMN report.money.day IS 'Day in the zone of the campaign, of the lease or of the bid: late bills post to the day of their bid';
COMMENT ON COLUMN report.money.advertiser IS 'Advertiser of the campaign';
COMMENT ON COLUMN report.money.campaign IS 'Campaign id; #key if unknown';
COMMENT ON COLUMN report.money.exchange IS 'Name of the exchange; NULL for what concerns none';
COMMENT ON COLUMN report.money.granted_nano_usd IS 'Granted to leases, in billionths of a US dollar';
COMMENT ON COLUMN report.money.returned_nano_usd IS 'Given back by leases';
COMMENT ON COLUMN report.money.spent_nano_usd IS 'Media cost booked';
COMMENT ON COLUMN report.money.late_nano_usd IS 'Of it, what was billed after its reservation had been given back';
COMMENT ON COLUMN report.money.overspend_nano_usd IS 'What leases cost beyond their amount';
COMMENT ON COLUMN report.money.suspense_nano_usd IS 'Billed after the life of the token, under review: not in any other figure';
COMMENT ON COLUMN report.money.fee_nano_usd IS 'Our fee';
COMMENT ON COLUMN report.money.charged_nano_usd IS 'What the advertiser is charged: spent + fee';
COMMENT ON COLUMN report.money.balance_nano_usd IS 'granted - returned - spent: what leases still hold; below zero: late bills of leases that had given back';
COMMENT ON COLUMN report.money.bills IS 'Bids that were paid';

CREATE VIEW report.receipts AS
SELECT r.hour, coalesce(e.name, '#' || r.exchange) AS exchange, coalesce(c.id, '#' || r.campaign) AS campaign, r.bills,
    r.amount_nano AS spend_nano_usd, r.amount_nano * 0.000000001 AS spend_usd
FROM ledger.receipt_hour r
LEFT JOIN config.campaign c ON c.key = r.campaign
LEFT JOIN config.exchange e ON e.key = r.exchange;
COMMENT ON VIEW report.receipts IS 'What exchanges may invoice, by the hour in which we heard of it; budgets and deliveries go by the minute of the bid instead.';
COMMENT ON COLUMN report.receipts.hour IS 'Hour of receipt of the notice that was booked, UTC';
COMMENT ON COLUMN report.receipts.exchange IS 'Name of the exchange';
COMMENT ON COLUMN report.receipts.campaign IS 'Campaign id; #key if unknown';
COMMENT ON COLUMN report.receipts.bills IS 'Bids that were paid';
COMMENT ON COLUMN report.receipts.spend_nano_usd IS 'Media cost, in billionths of a US dollar';
COMMENT ON COLUMN report.receipts.spend_usd IS 'Media cost, in US dollars, exact';

CREATE OR REPLACE VIEW report.suspense AS
SELECT s.received_at, coalesce(e.name, '#' || s.exchange) AS exchange, coalesce(c.id, '#' || s.campaign) AS campaign,
    to_timestamp(('x' || encode(substring(s.bid_id FROM 1 FOR 4), 'hex'))::bit(32)::bigint * 60) AS minute,
    encode(s.bid_id, 'hex') AS bid_id, s.price_nano AS price_nano_usd, s.price_nano * 0.000000001 AS price_usd,
    s.bid_nano AS bid_nano_usd, s.state, s.reviewed_at, s.reviewed_by, s.note
FROM ledger.suspense s
LEFT JOIN config.exchange e ON e.key = s.exchange
LEFT JOIN config.campaign c ON c.key = s.campaign;
COMMENT ON COLUMN report.suspense.bid_nano_usd IS 'What we had bid';
COMMENT ON COLUMN report.suspense.state IS 'open, accepted (booked to the minute of its bid) or rejected';
COMMENT ON COLUMN report.suspense.reviewed_at IS 'When it was accepted or rejected';
COMMENT ON COLUMN report.suspense.reviewed_by IS 'By whom';
COMMENT ON COLUMN report.suspense.note IS 'Why';

-- Rights ------------------------------------------------------------------------------------------------------------------

GRANT USAGE ON SCHEMA config, ledger, rollup, ops TO bookkeeper;
GRANT SELECT ON ALL TABLES IN SCHEMA config, ledger, rollup, ops TO bookkeeper;
ALTER DEFAULT PRIVILEGES IN SCHEMA config, ledger, rollup, ops GRANT SELECT ON TABLES TO bookkeeper;
ALTER DEFAULT PRIVILEGES IN SCHEMA rollup GRANT INSERT, UPDATE ON TABLES TO bookkeeper;
GRANT INSERT, UPDATE ON ALL TABLES IN SCHEMA rollup TO bookkeeper;
GRANT INSERT, UPDATE ON ops.progress, ops.stream, ledger.bid, ledger.lease_minute, ledger.campaign_day, ledger.receipt_hour,
    ledger.suspense TO bookkeeper;
GRANT INSERT ON ops.gap, ops.audit, ledger.transfer TO bookkeeper;
GRANT USAGE ON SEQUENCE ledger.transfer_id TO bookkeeper;
GRANT EXECUTE ON FUNCTION ops.ensure_partition(regclass, text, text, text) TO bookkeeper;
