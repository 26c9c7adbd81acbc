-- Money. Written by the aggregator from the durable stream; grants and returns by the controller.

-- One row a bid that any notice spoke of. The id begins with the bid's minute, so ranges of ids are hours.
CREATE TABLE ledger.bid (
    bid_id bytea PRIMARY KEY CHECK (length(bid_id) = 12),
    kinds smallint NOT NULL DEFAULT 0, -- 1 << (NoticeKind - 1) of each kind that has been counted
    closed boolean NOT NULL DEFAULT false, -- its reservation was given back to the lease: billed or lost
    exchange smallint NOT NULL,
    campaign bigint NOT NULL,
    lease bigint NOT NULL,
    bid_nano bigint NOT NULL,
    taken_nano bigint NOT NULL,
    spent_nano bigint NOT NULL DEFAULT 0,
    spent_at timestamptz -- receipt of the notice that was booked: invoices go by it, budgets by the bid's minute
) PARTITION BY RANGE (bid_id);

-- An account is named by what it stands for: campaign:<key>, lease:<id>, media:<key of the exchange>.
CREATE TABLE ledger.account (
    name text PRIMARY KEY CHECK (name ~ '^(campaign|lease|media):[0-9]+$'),
    kind text GENERATED ALWAYS AS (split_part(name, ':', 1)) STORED,
    ref bigint GENERATED ALWAYS AS (split_part(name, ':', 2)::bigint) STORED
);

-- Every row takes from one account what it gives to another, so the balances of all accounts add up to zero.
-- One row a pair of accounts, reason and minute; late notices of a minute add to its row.
CREATE TABLE ledger.transfer (
    debit text NOT NULL REFERENCES ledger.account,
    credit text NOT NULL REFERENCES ledger.account CHECK (credit <> debit),
    reason text NOT NULL CHECK (reason IN ('grant', 'return', 'media')),
    minute integer NOT NULL, -- UTC minutes since 1970: of the bid for media, of the deed otherwise
    amount_nano bigint NOT NULL CHECK (amount_nano > 0),
    at timestamptz NOT NULL DEFAULT clock_timestamp(), -- when it was last added to
    PRIMARY KEY (debit, credit, reason, minute)
);
CREATE INDEX ON ledger.transfer (credit);

-- Grants (moved > 0) and returns (moved < 0) between campaigns and their leases.
CREATE FUNCTION ledger.post_grants(campaigns integer[], leases bigint[], moved bigint[]) RETURNS void LANGUAGE sql AS $$
    INSERT INTO ledger.account (name)
    SELECT DISTINCT name FROM unnest(campaigns, leases, moved) AS m (campaign, lease, nano)
    CROSS JOIN LATERAL (VALUES ('campaign:' || m.campaign), ('lease:' || m.lease)) AS v (name)
    WHERE m.nano <> 0 ORDER BY name ON CONFLICT DO NOTHING;

    INSERT INTO ledger.transfer AS t (debit, credit, reason, minute, amount_nano)
    SELECT CASE WHEN nano > 0 THEN 'campaign:' || campaign ELSE 'lease:' || lease END,
        CASE WHEN nano > 0 THEN 'lease:' || lease ELSE 'campaign:' || campaign END,
        CASE WHEN nano > 0 THEN 'grant' ELSE 'return' END,
        floor(extract(epoch FROM now()) / 60)::integer,
        abs(nano)
    FROM unnest(campaigns, leases, moved) AS m (campaign, lease, nano) WHERE nano <> 0 ORDER BY 1, 2
    ON CONFLICT (debit, credit, reason, minute)
    DO UPDATE SET amount_nano = t.amount_nano + EXCLUDED.amount_nano, at = clock_timestamp();
$$;

-- The ledger follows the leases by itself: whoever grants, changes or closes one moves its money in the same transaction.
CREATE FUNCTION ledger.lease_granted() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM ledger.post_grants(array_agg(campaign), array_agg(id), array_agg(amount_nano)) FROM fresh;
    RETURN NULL;
END
$$;
CREATE TRIGGER granted AFTER INSERT ON ledger.lease REFERENCING NEW TABLE AS fresh
FOR EACH STATEMENT EXECUTE FUNCTION ledger.lease_granted();

CREATE FUNCTION ledger.lease_changed() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM ledger.post_grants(array_agg(n.campaign), array_agg(n.id), array_agg(
        n.amount_nano - o.amount_nano
        - CASE WHEN o.closed_at IS NULL AND n.closed_at IS NOT NULL -- what was not spent goes back
            THEN greatest(0, n.amount_nano - coalesce(m.spent_nano, 0)) ELSE 0 END))
    FROM fresh n JOIN stale o USING (id)
    LEFT JOIN LATERAL (SELECT sum(spent_nano)::bigint AS spent_nano FROM ledger.lease_minute WHERE lease = n.id) m ON true;
    RETURN NULL;
END
$$;
CREATE TRIGGER changed AFTER UPDATE ON ledger.lease REFERENCING OLD TABLE AS stale NEW TABLE AS fresh
FOR EACH STATEMENT EXECUTE FUNCTION ledger.lease_changed();

CREATE VIEW ledger.balance AS
SELECT a.name, a.kind, a.ref, coalesce(d.nano, 0) AS debits_nano, coalesce(c.nano, 0) AS credits_nano,
    coalesce(c.nano, 0) - coalesce(d.nano, 0) AS balance_nano
FROM ledger.account a
LEFT JOIN (SELECT debit AS name, sum(amount_nano) AS nano FROM ledger.transfer GROUP BY debit) d USING (name)
LEFT JOIN (SELECT credit AS name, sum(amount_nano) AS nano FROM ledger.transfer GROUP BY credit) c USING (name);

-- Bills that came after the life of their token: not booked, but somebody may owe them.
CREATE TABLE ledger.suspense (
    bid_id bytea PRIMARY KEY,
    received_at timestamptz NOT NULL,
    exchange smallint NOT NULL,
    campaign bigint NOT NULL,
    creative bigint NOT NULL,
    lease bigint NOT NULL,
    price_nano bigint NOT NULL CHECK (price_nano > 0),
    bid_nano bigint NOT NULL
);
