-- What pages and players tell beyond impressions and clicks, what conversions were worth, and when a bid was clicked.

ALTER TABLE ledger.bid ADD COLUMN clicked_at timestamptz; -- receipt of its click: conversions count so long after it
ALTER TABLE rollup.notice_minute
    ADD COLUMN viewable bigint NOT NULL DEFAULT 0,
    ADD COLUMN starts bigint NOT NULL DEFAULT 0,
    ADD COLUMN first_quartiles bigint NOT NULL DEFAULT 0,
    ADD COLUMN midpoints bigint NOT NULL DEFAULT 0,
    ADD COLUMN third_quartiles bigint NOT NULL DEFAULT 0,
    ADD COLUMN completes bigint NOT NULL DEFAULT 0,
    ADD COLUMN conversion_nano bigint NOT NULL DEFAULT 0;

CREATE OR REPLACE VIEW report.delivery_minute AS
SELECT f.minute,
    date_trunc('hour', f.minute, 'UTC') AS hour,
    (f.minute AT TIME ZONE 'UTC')::date AS day,
    coalesce(e.name, '#' || f.exchange) AS exchange,
    a.id AS advertiser,
    coalesce(c.id, '#' || nullif(f.campaign, 0)) AS campaign,
    coalesce(cr.id, '#' || nullif(f.creative, 0)) AS creative,
    coalesce(d.value, '#' || nullif(f.deal, 0)) AS deal,
    rollup.country_code(f.country) AS country,
    coalesce(o.name, '#' || f.os) AS os,
    coalesce(m.name, '#' || nullif(f.format, 0)) AS format,
    CASE WHEN f.w > 0 THEN f.w || 'x' || f.h END AS size,
    coalesce(i.value, '#' || nullif(f.inventory, 0)) AS inventory,
    coalesce(ar.name, '#' || f.arm) AS arm,
    f.requests, f.bids, f.wins, f.impressions, f.clicks, f.conversions,
    f.spend_nano AS spend_nano_usd,
    f.spend_nano * 0.000000001 AS spend_usd,
    f.bills, f.losses,
    f.bid_nano AS bid_nano_usd,
    f.viewable, f.starts, f.first_quartiles, f.midpoints, f.third_quartiles, f.completes,
    f.conversion_nano AS conversion_nano_usd,
    f.conversion_nano * 0.000000001 AS conversion_usd
FROM (
    SELECT minute, exchange, arm, format, os, country, w, h, campaign, creative, deal, inventory, requests, bids, bid_nano,
        0::bigint AS wins, 0::bigint AS bills, 0::bigint AS losses, 0::bigint AS impressions, 0::bigint AS clicks,
        0::bigint AS conversions, 0::bigint AS spend_nano, 0::bigint AS viewable, 0::bigint AS starts,
        0::bigint AS first_quartiles, 0::bigint AS midpoints, 0::bigint AS third_quartiles, 0::bigint AS completes,
        0::bigint AS conversion_nano
    FROM rollup.traffic_minute WHERE requests > 0 OR bids > 0
    UNION ALL
    SELECT minute, exchange, arm, format, os, country, w, h, campaign, creative, deal, inventory, 0, 0, 0,
        wins, bills, losses, impressions, clicks, conversions, spend_nano, viewable, starts,
        first_quartiles, midpoints, third_quartiles, completes, conversion_nano
    FROM rollup.notice_minute
) f
LEFT JOIN config.exchange e ON e.key = f.exchange
LEFT JOIN config.campaign c ON c.key = f.campaign
LEFT JOIN config.advertiser a ON a.key = c.advertiser
LEFT JOIN config.creative cr ON cr.key = f.creative
LEFT JOIN config.term d ON d.key = f.deal
LEFT JOIN config.term i ON i.key = f.inventory
LEFT JOIN rollup.name o ON o.dimension = 'os' AND o.key = f.os
LEFT JOIN rollup.name m ON m.dimension = 'format' AND m.key = f.format
LEFT JOIN rollup.name ar ON ar.dimension = 'arm' AND ar.key = f.arm;
COMMENT ON COLUMN report.delivery_minute.viewable IS 'Distinct impressions that were in view';
COMMENT ON COLUMN report.delivery_minute.starts IS 'Videos and audios that began to play';
COMMENT ON COLUMN report.delivery_minute.first_quartiles IS 'Played to a quarter';
COMMENT ON COLUMN report.delivery_minute.midpoints IS 'Played to the half';
COMMENT ON COLUMN report.delivery_minute.third_quartiles IS 'Played to three quarters';
COMMENT ON COLUMN report.delivery_minute.completes IS 'Played to the end';
COMMENT ON COLUMN report.delivery_minute.conversion_nano_usd IS 'What conversions were worth, as the advertiser says, in billionths of a US dollar';
COMMENT ON COLUMN report.delivery_minute.conversion_usd IS 'What conversions were worth, as the advertiser says, in US dollars, exact';
