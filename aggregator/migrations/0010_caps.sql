-- What became of bids that count under frequency caps, by minute of the bid: trackers count it, the bus carries it.

CREATE TABLE rollup.caps_minute (
    minute timestamptz NOT NULL,
    exchange smallint NOT NULL,
    arm smallint NOT NULL,
    campaign bigint NOT NULL,
    creative bigint NOT NULL,
    shown bigint NOT NULL DEFAULT 0,
    beyond bigint NOT NULL DEFAULT 0,
    given_back bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (minute, exchange, arm, campaign, creative)
) PARTITION BY RANGE (minute);

CREATE VIEW report.caps AS
SELECT f.minute,
    date_trunc('hour', f.minute, 'UTC') AS hour,
    (f.minute AT TIME ZONE 'UTC')::date AS day,
    coalesce(e.name, '#' || f.exchange) AS exchange,
    a.id AS advertiser,
    coalesce(c.id, '#' || nullif(f.campaign, 0)) AS campaign,
    coalesce(cr.id, '#' || nullif(f.creative, 0)) AS creative,
    coalesce(ar.name, '#' || f.arm) AS arm,
    f.shown, f.beyond, f.given_back
FROM rollup.caps_minute f
LEFT JOIN config.exchange e ON e.key = f.exchange
LEFT JOIN config.campaign c ON c.key = f.campaign
LEFT JOIN config.advertiser a ON a.key = c.advertiser
LEFT JOIN config.creative cr ON cr.key = f.creative
LEFT JOIN rollup.name ar ON ar.dimension = 'arm' AND ar.key = f.arm;
COMMENT ON VIEW report.caps IS 'Impressions of campaigns with frequency caps, and how many were beyond one';
COMMENT ON COLUMN report.caps.shown IS 'Impressions that were confirmed under caps';
COMMENT ON COLUMN report.caps.beyond IS 'Of those, impressions that a user was not to see any more: they were confirmed after their time';
COMMENT ON COLUMN report.caps.given_back IS 'Bids whose count a loss notice gave back at once';
