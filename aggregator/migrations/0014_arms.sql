-- Who answered the requests of canaries and baselines, and how a shadow's answers compare, by minute of the request.

CREATE TABLE rollup.arm_minute (
    minute timestamptz NOT NULL,
    exchange smallint NOT NULL,
    arm smallint NOT NULL,
    requests bigint NOT NULL DEFAULT 0,
    late bigint NOT NULL DEFAULT 0,
    gone bigint NOT NULL DEFAULT 0,
    busy bigint NOT NULL DEFAULT 0,
    price bigint NOT NULL DEFAULT 0,
    broken bigint NOT NULL DEFAULT 0,
    same bigint NOT NULL DEFAULT 0,
    other_price bigint NOT NULL DEFAULT 0,
    other_campaign bigint NOT NULL DEFAULT 0,
    more bigint NOT NULL DEFAULT 0,
    fewer bigint NOT NULL DEFAULT 0,
    invalid bigint NOT NULL DEFAULT 0,
    missing bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (minute, exchange, arm)
) PARTITION BY RANGE (minute);

CREATE VIEW report.arms AS
SELECT f.minute,
    date_trunc('hour', f.minute, 'UTC') AS hour,
    (f.minute AT TIME ZONE 'UTC')::date AS day,
    coalesce(e.name, '#' || f.exchange) AS exchange,
    coalesce(ar.name, '#' || f.arm) AS arm,
    f.requests,
    CASE WHEN compared THEN 0
        ELSE f.requests - f.late - f.gone - f.busy - f.price - f.broken END AS answered_by_its_build,
    CASE WHEN compared THEN f.requests
        ELSE f.late + f.gone + f.busy + f.price + f.broken END AS answered_by_stable,
    f.late, f.gone, f.busy, f.price, f.broken,
    f.same, f.other_price, f.other_campaign, f.more, f.fewer, f.invalid, f.missing
FROM (
    SELECT *, same + other_price + other_campaign + more + fewer + invalid + missing > 0 AS compared
    FROM rollup.arm_minute
) f
LEFT JOIN config.exchange e ON e.key = f.exchange
LEFT JOIN rollup.name ar ON ar.dimension = 'arm' AND ar.key = f.arm;
COMMENT ON VIEW report.arms IS 'Requests of canaries and baselines: which build answered them, why not its own, and how shadows compare';
COMMENT ON COLUMN report.arms.minute IS 'Minute of the request';
COMMENT ON COLUMN report.arms.hour IS 'Its hour, UTC; for other zones date_trunc(''hour'', minute, zone)';
COMMENT ON COLUMN report.arms.day IS 'Its day, UTC; for other zones (minute AT TIME ZONE zone)::date';
COMMENT ON COLUMN report.arms.exchange IS 'Name of the exchange, as in /bid/{exchange}';
COMMENT ON COLUMN report.arms.arm IS 'canary, or baseline: the stable build on as much traffic';
COMMENT ON COLUMN report.arms.requests IS 'Requests that belong to the arm, whoever answered';
COMMENT ON COLUMN report.arms.answered_by_its_build IS 'Of those, answered by the build of the arm';
COMMENT ON COLUMN report.arms.answered_by_stable IS 'Of those, answered by the stable build: all in minutes with shadows, else the sum of the reasons that follow';
COMMENT ON COLUMN report.arms.late IS 'The build of the arm did not answer within its part of the deadline';
COMMENT ON COLUMN report.arms.gone IS 'No worker of it was there, or it died with the request';
COMMENT ON COLUMN report.arms.busy IS 'It took no more requests';
COMMENT ON COLUMN report.arms.price IS 'It bid more than any campaign may';
COMMENT ON COLUMN report.arms.broken IS 'Its answer could not be read, or did not add up';
COMMENT ON COLUMN report.arms.same IS 'A shadow answered the same: campaigns and prices, or no bid either';
COMMENT ON COLUMN report.arms.other_price IS 'A shadow bid for the same campaigns at other prices';
COMMENT ON COLUMN report.arms.other_campaign IS 'A shadow bid for another campaign';
COMMENT ON COLUMN report.arms.more IS 'A shadow bid where no bid was sent';
COMMENT ON COLUMN report.arms.fewer IS 'A shadow made no bid where one was sent';
COMMENT ON COLUMN report.arms.invalid IS 'The answer of a shadow breaks a rule, or cannot be read';
COMMENT ON COLUMN report.arms.missing IS 'A shadow did not answer in time';
