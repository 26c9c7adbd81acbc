-- What has changed since a host last heard of its leases, without reading all of them.

-- `changed`: id of the transaction that wrote the row last. Whoever has seen all transactions before the oldest one that was
-- running then (pg_snapshot_xmin) misses nothing by asking for rows from that id on; a sequence would let late commits slip by.
ALTER TABLE ledger.lease ADD COLUMN changed bigint NOT NULL DEFAULT pg_current_xact_id()::text::bigint;
ALTER TABLE ledger.lease_minute ADD COLUMN changed bigint NOT NULL DEFAULT pg_current_xact_id()::text::bigint;

CREATE FUNCTION ledger.stamp() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    NEW.changed := pg_current_xact_id()::text::bigint;
    RETURN NEW;
END
$$;
CREATE TRIGGER stamped BEFORE UPDATE ON ledger.lease FOR EACH ROW EXECUTE FUNCTION ledger.stamp();
CREATE TRIGGER stamped BEFORE UPDATE ON ledger.lease_minute FOR EACH ROW EXECUTE FUNCTION ledger.stamp();

CREATE INDEX ON ledger.lease_minute (changed);
CREATE INDEX ON ledger.lease (host, changed);
CREATE INDEX ON ledger.lease (host, id) WHERE closed_at IS NULL; -- a listing, page by page
CREATE INDEX ON ledger.lease (host, settle_until) WHERE closed_at IS NULL; -- what is due to be closed
CREATE INDEX ON ledger.lease (host, campaign) WHERE closed_at IS NULL AND revision = 0; -- amounts to be worked out again
DROP INDEX ledger.lease_host_idx;

-- Campaigns that leases are due for: changed, in a zone whose budget hour begins, or at the start of their flight.
CREATE INDEX ON config.campaign (revision);
CREATE INDEX ON config.campaign (timezone);
CREATE INDEX ON config.campaign (flight_start) WHERE flight_start IS NOT NULL;
