-- How far the facts in this database reach, and what is missing from them. `ops.migration` is made by aggregator/migrate.py.

-- The last window of each producer that is in the rollups. Moves in the transaction that adds the window's counts.
CREATE TABLE ops.progress (
    producer text NOT NULL,
    epoch bigint NOT NULL,
    seq bigint NOT NULL DEFAULT 0,
    window_ms bigint NOT NULL DEFAULT 0, -- wall clock of the producer when it closed that window
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (producer, epoch)
);

-- Windows that their producer could not send again: these counts are lost, and said to be.
CREATE TABLE ops.gap (
    producer text NOT NULL,
    epoch bigint NOT NULL,
    first_seq bigint NOT NULL,
    last_seq bigint NOT NULL CHECK (last_seq >= first_seq),
    after_ms bigint NOT NULL, -- close of the last window before the gap; 0: there was none
    before_ms bigint NOT NULL, -- close of the first window after it
    declared_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (producer, epoch, first_seq)
);

-- Position in each durable stream up to which all is booked. Moves in the transaction that books.
CREATE TABLE ops.stream (
    stream text PRIMARY KEY,
    position bigint NOT NULL DEFAULT 0,
    notices bigint NOT NULL DEFAULT 0, -- read so far, repeats and flagged ones included
    checked_at timestamptz, -- all that was durable at this time is booked (clock of this database)
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp()
);

-- One leaf of a partitioned table, made before the first row needs it. Attached, not created in place: that leaves readers and
-- writers of the other leaves alone. Call it in a transaction of its own.
CREATE FUNCTION ops.ensure_partition(parent regclass, leaf text, low text, high text) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    space text := (SELECT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = parent);
BEGIN
    IF to_regclass(format('%I.%I', space, leaf)) IS NOT NULL THEN
        RETURN;
    END IF;
    PERFORM pg_advisory_xact_lock(hashtext('ops.ensure_partition'), hashtext(leaf));
    IF to_regclass(format('%I.%I', space, leaf)) IS NOT NULL THEN
        RETURN; -- another aggregator was first
    END IF;
    EXECUTE format('CREATE TABLE %I.%I (LIKE %s INCLUDING ALL) WITH (fillfactor = 80)', space, leaf, parent);
    EXECUTE format('ALTER TABLE %s ATTACH PARTITION %I.%I FOR VALUES FROM (%L) TO (%L)', parent, space, leaf, low, high);
END
$$;
