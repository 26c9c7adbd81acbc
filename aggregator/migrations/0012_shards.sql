-- Streams of many hosts (Kinesis) lie in shards: how far each is read. Moves in the transaction that books, like ops.stream, whose
-- `position` then counts what was read.
CREATE TABLE ops.shard (
    stream text NOT NULL,
    shard text NOT NULL,
    sequence numeric(60) NOT NULL, -- of the last record that is booked; 0: none
    ended boolean NOT NULL DEFAULT false, -- it was closed by a split or merge and read to its end: its children may be read
    updated_at timestamptz NOT NULL DEFAULT clock_timestamp(),
    PRIMARY KEY (stream, shard)
);

CREATE VIEW report.shard_status AS
SELECT stream, shard, sequence, ended, updated_at FROM ops.shard;
COMMENT ON VIEW report.shard_status IS 'How far each shard of a stream of many hosts is in the reports; streams of one host have none.';
COMMENT ON COLUMN report.shard_status.stream IS 'As report.data_status names it';
COMMENT ON COLUMN report.shard_status.shard IS 'Shard, as Kinesis names it';
COMMENT ON COLUMN report.shard_status.sequence IS 'Sequence number of the last record that is booked';
COMMENT ON COLUMN report.shard_status.ended IS 'Closed, and read to its end';
COMMENT ON COLUMN report.shard_status.updated_at IS 'When it last moved';

DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'bookkeeper') THEN
        GRANT SELECT, INSERT, UPDATE ON ops.shard TO bookkeeper;
    END IF;
END
$$;
