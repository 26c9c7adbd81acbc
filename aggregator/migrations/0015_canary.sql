-- The audit has what hosts do by themselves and what is done to them while Postgres is away; and which canaries there were.

-- Whence a record came: each host numbers its own, so that one that is told twice is stored once. NULL: done in Postgres itself.
ALTER TABLE ops.audit ADD COLUMN host text, ADD COLUMN seq bigint, ADD COLUMN pid integer,
    ADD CONSTRAINT audit_of_host UNIQUE (host, seq), ADD CONSTRAINT audit_host_with_seq CHECK ((host IS NULL) = (seq IS NULL));
CREATE INDEX ON ops.audit (at);
CREATE INDEX ON ops.audit (subject, at) WHERE verb LIKE 'canary %';

CREATE OR REPLACE VIEW report.audit AS SELECT at, actor, verb, subject, detail, host FROM ops.audit;
COMMENT ON VIEW report.audit IS 'What was done, by hand or by a host itself: bills reviewed, fees set, canaries, builds, restarts, switches.';
COMMENT ON COLUMN report.audit.at IS 'When, by the clock of the host that did it';
COMMENT ON COLUMN report.audit.actor IS 'Who: the user of the system, or the process that decided it';
COMMENT ON COLUMN report.audit.verb IS 'What';
COMMENT ON COLUMN report.audit.subject IS 'To what';
COMMENT ON COLUMN report.audit.detail IS 'How much, why, and the figures that it was decided by';
COMMENT ON COLUMN report.audit.host IS 'On which host; NULL: in Postgres itself, for all';

-- One row a canary, from what the audit has of it.
CREATE VIEW report.canaries AS
SELECT s.subject AS canary, s.host, s.actor, s.detail->>'build' AS build, s.detail->>'stable' AS stable,
    s.detail->>'exchange' AS exchange, s.detail->>'country' AS country, coalesce((s.detail->>'shadow')::boolean, false) AS shadow,
    s.at AS started_at, e.at AS ended_at, e.detail->>'outcome' AS outcome, e.detail->>'because' AS because,
    coalesce(w.slice, 0) AS widest_slice
FROM ops.audit s
LEFT JOIN LATERAL (
    SELECT e.at, e.detail FROM ops.audit e
    WHERE e.verb = 'canary end' AND e.subject = s.subject AND e.host = s.host ORDER BY e.at LIMIT 1
) e ON true
LEFT JOIN LATERAL (
    SELECT max((w.detail->>'buckets')::numeric) / 10000 AS slice FROM ops.audit w
    WHERE w.verb = 'canary slice' AND w.subject = s.subject AND w.host = s.host
) w ON true
WHERE s.verb = 'canary start';
COMMENT ON VIEW report.canaries IS 'Builds that were tried on a slice of the traffic: arm 1 is theirs from started_at to ended_at, arm 2 the stable build''s.';
COMMENT ON COLUMN report.canaries.canary IS 'Its name, as `outbid canary explain` takes it';
COMMENT ON COLUMN report.canaries.host IS 'On which host';
COMMENT ON COLUMN report.canaries.actor IS 'Who started it';
COMMENT ON COLUMN report.canaries.build IS 'The build that was tried';
COMMENT ON COLUMN report.canaries.stable IS 'The build that it was held against';
COMMENT ON COLUMN report.canaries.exchange IS 'Only this exchange''s traffic; NULL: all';
COMMENT ON COLUMN report.canaries.country IS 'Only this country''s traffic; NULL: all';
COMMENT ON COLUMN report.canaries.shadow IS 'Its answers were compared and not sent';
COMMENT ON COLUMN report.canaries.started_at IS 'When it began';
COMMENT ON COLUMN report.canaries.ended_at IS 'When it was over; NULL: it goes on';
COMMENT ON COLUMN report.canaries.outcome IS 'promoted, rolled back, inconclusive, aborted or failed';
COMMENT ON COLUMN report.canaries.because IS 'Why, with the figures';
COMMENT ON COLUMN report.canaries.widest_slice IS 'The greatest part of the traffic that it had, 0 to 1';
