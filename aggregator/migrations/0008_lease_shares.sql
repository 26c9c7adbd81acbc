-- Hosts share a campaign's budget hour: leases grow as they are used, and are handed back in part.

-- One open lease a campaign, host and hour; one that was closed before its hour ended has a follower.
ALTER TABLE ledger.lease DROP CONSTRAINT lease_campaign_host_hour_key;
CREATE UNIQUE INDEX ON ledger.lease (campaign, host, hour) WHERE closed_at IS NULL;
CREATE INDEX ON ledger.lease (campaign, hour);
CREATE INDEX ON ledger.lease (host, take_until) WHERE closed_at IS NULL; -- what is due to be renewed

ALTER TABLE ledger.lease
    ADD COLUMN wanted_nano bigint, -- the amount that its host asked for last; NULL: whatever it can get
    ADD COLUMN used_nano bigint NOT NULL DEFAULT 0, -- spent or reserved of it, as its host said last
    ADD COLUMN limit_nano bigint NOT NULL DEFAULT -1, -- >= 0: its host is to lower it to this, or as far as it is not used
    ADD COLUMN plan_nano bigint NOT NULL DEFAULT 0, -- what all hosts together may spend in its hour; 0: it is not shared
    ADD COLUMN elsewhere_nano bigint NOT NULL DEFAULT 0; -- of that plan, what other leases have used, as its host was told

-- What a host is not told changes nothing for it.
DROP TRIGGER stamped ON ledger.lease;
CREATE TRIGGER stamped BEFORE UPDATE ON ledger.lease FOR EACH ROW
WHEN ((OLD.amount_nano, OLD.limit_nano, OLD.take_until, OLD.settle_until, OLD.revision, OLD.closed_at, OLD.plan_nano,
        OLD.elsewhere_nano)
    IS DISTINCT FROM (NEW.amount_nano, NEW.limit_nano, NEW.take_until, NEW.settle_until, NEW.revision, NEW.closed_at,
        NEW.plan_nano, NEW.elsewhere_nano))
EXECUTE FUNCTION ledger.stamp();

-- Hosts that ask for leases, and when they did last: among those who do, budgets are shared.
CREATE TABLE ledger.host (
    host text PRIMARY KEY,
    asked_at timestamptz NOT NULL
);
INSERT INTO ledger.host SELECT DISTINCT host, now() FROM ledger.lease WHERE closed_at IS NULL;

-- The most that one bid of a campaign may cost: a host that has less at hand cannot bid at all.
CREATE FUNCTION config.most_price(body jsonb) RETURNS bigint IMMUTABLE LANGUAGE plpgsql AS $$
DECLARE
    price numeric := coalesce((body #>> '{bid,cpm_usd}')::numeric, 0) * 1000000;
    multiplier jsonb;
BEGIN
    FOR multiplier IN SELECT * FROM jsonb_array_elements(coalesce(body -> 'multipliers', '[]')) LOOP
        price := price * greatest(1, (multiplier ->> 'factor')::numeric);
    END LOOP;
    RETURN ceil(least(price, 4294967295));
END
$$;
ALTER TABLE config.campaign ADD COLUMN price_nano bigint GENERATED ALWAYS AS (config.most_price(body)) STORED;
