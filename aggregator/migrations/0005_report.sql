-- What analysts read: names instead of keys, times in UTC, money in nano-USD and in dollars. Additive figures; ratios only
-- where rows are already summed. Views run with the rights of their owner, so group analyst needs nothing but this schema.
CREATE SCHEMA report;
COMMENT ON SCHEMA report IS 'Stable views for analysts. Read data_status first: it says how fresh and how complete the rest is.';

CREATE VIEW report.delivery_minute AS
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
    f.bid_nano AS bid_nano_usd
FROM (
    SELECT minute, exchange, arm, format, os, country, w, h, campaign, creative, deal, inventory, requests, bids, bid_nano,
        0::bigint AS wins, 0::bigint AS bills, 0::bigint AS losses, 0::bigint AS impressions, 0::bigint AS clicks,
        0::bigint AS conversions, 0::bigint AS spend_nano
    FROM rollup.traffic_minute WHERE requests > 0 OR bids > 0
    UNION ALL
    SELECT minute, exchange, arm, format, os, country, w, h, campaign, creative, deal, inventory, 0, 0, 0,
        wins, bills, losses, impressions, clicks, conversions, spend_nano
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
COMMENT ON VIEW report.delivery_minute IS 'What came in, what was bid, won, seen, clicked and paid, by minute of the request and all dimensions. Several rows may share their dimensions: always sum. Requests have no campaign, creative, deal, format or size.';
COMMENT ON COLUMN report.delivery_minute.minute IS 'Minute of the request or bid, also for notices that came later';
COMMENT ON COLUMN report.delivery_minute.hour IS 'Its hour, UTC; for other zones date_trunc(''hour'', minute, zone)';
COMMENT ON COLUMN report.delivery_minute.day IS 'Its day, UTC; for other zones (minute AT TIME ZONE zone)::date';
COMMENT ON COLUMN report.delivery_minute.exchange IS 'Name of the exchange, as in /bid/{exchange}';
COMMENT ON COLUMN report.delivery_minute.advertiser IS 'Advertiser of the campaign; NULL for requests';
COMMENT ON COLUMN report.delivery_minute.campaign IS 'Campaign id; NULL for requests; #key if unknown';
COMMENT ON COLUMN report.delivery_minute.creative IS 'Creative id, unique within its campaign';
COMMENT ON COLUMN report.delivery_minute.deal IS 'Deal id of the bid; NULL for the open auction';
COMMENT ON COLUMN report.delivery_minute.country IS 'ISO 3166-1 alpha-3 of the device; NULL if unknown';
COMMENT ON COLUMN report.delivery_minute.os IS 'Operating system of the device';
COMMENT ON COLUMN report.delivery_minute.format IS 'banner, video, audio or native';
COMMENT ON COLUMN report.delivery_minute.size IS 'Width x height of the creative';
COMMENT ON COLUMN report.delivery_minute.inventory IS 'Bundle or domain, where a campaign names it; NULL for all others together';
COMMENT ON COLUMN report.delivery_minute.arm IS 'Build or experiment that the request fell to';
COMMENT ON COLUMN report.delivery_minute.requests IS 'Bid requests received, test requests excepted';
COMMENT ON COLUMN report.delivery_minute.bids IS 'Bids answered';
COMMENT ON COLUMN report.delivery_minute.wins IS 'Distinct win notices';
COMMENT ON COLUMN report.delivery_minute.impressions IS 'Distinct impressions (pixel)';
COMMENT ON COLUMN report.delivery_minute.clicks IS 'Distinct clicks';
COMMENT ON COLUMN report.delivery_minute.conversions IS 'Distinct conversions';
COMMENT ON COLUMN report.delivery_minute.spend_nano_usd IS 'Media cost booked, in billionths of a US dollar';
COMMENT ON COLUMN report.delivery_minute.spend_usd IS 'Media cost booked, in US dollars, exact';
COMMENT ON COLUMN report.delivery_minute.bills IS 'Distinct billing notices';
COMMENT ON COLUMN report.delivery_minute.losses IS 'Distinct loss notices';
COMMENT ON COLUMN report.delivery_minute.bid_nano_usd IS 'Sum of the prices of the bids, in billionths of a US dollar';

CREATE VIEW report.delivery AS
SELECT day, exchange, advertiser, campaign, creative,
    sum(requests)::bigint AS requests, sum(bids)::bigint AS bids, sum(wins)::bigint AS wins,
    sum(impressions)::bigint AS impressions, sum(clicks)::bigint AS clicks, sum(conversions)::bigint AS conversions,
    sum(spend_nano_usd)::bigint AS spend_nano_usd, sum(spend_usd) AS spend_usd,
    round(sum(bids) / nullif(sum(requests), 0), 6) AS bid_rate,
    round(sum(wins) / nullif(sum(bids), 0), 6) AS win_rate,
    round(sum(clicks) / nullif(sum(impressions), 0), 6) AS click_rate,
    round(sum(spend_usd) * 1000 / nullif(sum(impressions), 0), 6) AS ecpm_usd
FROM report.delivery_minute GROUP BY day, exchange, advertiser, campaign, creative;
COMMENT ON VIEW report.delivery IS 'Delivery by day (UTC), exchange and creative, with ratios.';
COMMENT ON COLUMN report.delivery.day IS 'Day of the request or bid, UTC';
COMMENT ON COLUMN report.delivery.exchange IS 'Name of the exchange';
COMMENT ON COLUMN report.delivery.advertiser IS 'Advertiser; NULL in the rows of requests';
COMMENT ON COLUMN report.delivery.campaign IS 'Campaign id; NULL in the rows of requests';
COMMENT ON COLUMN report.delivery.creative IS 'Creative id; NULL in the rows of requests';
COMMENT ON COLUMN report.delivery.requests IS 'Bid requests received';
COMMENT ON COLUMN report.delivery.bids IS 'Bids answered';
COMMENT ON COLUMN report.delivery.wins IS 'Distinct win notices';
COMMENT ON COLUMN report.delivery.impressions IS 'Distinct impressions';
COMMENT ON COLUMN report.delivery.clicks IS 'Distinct clicks';
COMMENT ON COLUMN report.delivery.conversions IS 'Distinct conversions';
COMMENT ON COLUMN report.delivery.spend_nano_usd IS 'Media cost booked, in billionths of a US dollar';
COMMENT ON COLUMN report.delivery.spend_usd IS 'Media cost booked, in US dollars';
COMMENT ON COLUMN report.delivery.bid_rate IS 'bids / requests of this row; sum both to compare exchanges';
COMMENT ON COLUMN report.delivery.win_rate IS 'wins / bids';
COMMENT ON COLUMN report.delivery.click_rate IS 'clicks / impressions';
COMMENT ON COLUMN report.delivery.ecpm_usd IS 'Dollars spent per thousand impressions';

CREATE VIEW report.nobids AS
SELECT f.minute,
    date_trunc('hour', f.minute, 'UTC') AS hour,
    (f.minute AT TIME ZONE 'UTC')::date AS day,
    coalesce(e.name, '#' || f.exchange) AS exchange,
    coalesce(r.name, '#' || f.reason) AS reason,
    rollup.country_code(f.country) AS country,
    coalesce(o.name, '#' || f.os) AS os,
    coalesce(i.value, '#' || nullif(f.inventory, 0)) AS inventory,
    coalesce(ar.name, '#' || f.arm) AS arm,
    f.nobids
FROM rollup.traffic_minute f
LEFT JOIN config.exchange e ON e.key = f.exchange
LEFT JOIN config.term i ON i.key = f.inventory
LEFT JOIN rollup.name r ON r.dimension = 'reason' AND r.key = f.reason
LEFT JOIN rollup.name o ON o.dimension = 'os' AND o.key = f.os
LEFT JOIN rollup.name ar ON ar.dimension = 'arm' AND ar.key = f.arm
WHERE f.nobids > 0;
COMMENT ON VIEW report.nobids IS 'Requests that got no bid, by minute and the reason that came closest to a bid. Always sum.';
COMMENT ON COLUMN report.nobids.minute IS 'Minute of the request';
COMMENT ON COLUMN report.nobids.hour IS 'Its hour, UTC';
COMMENT ON COLUMN report.nobids.day IS 'Its day, UTC';
COMMENT ON COLUMN report.nobids.exchange IS 'Name of the exchange';
COMMENT ON COLUMN report.nobids.reason IS 'Why there was no bid, as bidder/outcome.py names it';
COMMENT ON COLUMN report.nobids.country IS 'ISO 3166-1 alpha-3 of the device; NULL if unknown';
COMMENT ON COLUMN report.nobids.os IS 'Operating system of the device';
COMMENT ON COLUMN report.nobids.inventory IS 'Bundle or domain, where a campaign names it';
COMMENT ON COLUMN report.nobids.arm IS 'Build or experiment that the request fell to';
COMMENT ON COLUMN report.nobids.nobids IS 'Requests';

CREATE VIEW report.latency AS
SELECT f.minute, coalesce(e.name, '#' || f.exchange) AS exchange, coalesce(ar.name, '#' || f.arm) AS arm,
    (2 ^ f.bucket)::bigint AS within_us, f.n AS requests
FROM rollup.latency_minute f
LEFT JOIN config.exchange e ON e.key = f.exchange
LEFT JOIN rollup.name ar ON ar.dimension = 'arm' AND ar.key = f.arm;
COMMENT ON VIEW report.latency IS 'Histogram of the time that the bidder took, from request read to answer written.';
COMMENT ON COLUMN report.latency.minute IS 'Minute of the request';
COMMENT ON COLUMN report.latency.exchange IS 'Name of the exchange';
COMMENT ON COLUMN report.latency.arm IS 'Build or experiment that the request fell to';
COMMENT ON COLUMN report.latency.within_us IS 'Answered within this many microseconds, and not within half as many';
COMMENT ON COLUMN report.latency.requests IS 'Requests';

CREATE VIEW report.flagged AS
SELECT f.minute, coalesce(e.name, '#' || f.exchange) AS exchange, coalesce(c.id, '#' || f.campaign) AS campaign,
    coalesce(k.name, '#' || f.kind) AS kind,
    (SELECT string_agg(n.name, ' ' ORDER BY n.key) FROM rollup.name n
        WHERE n.dimension = 'flag' AND n.key & f.flags <> 0) AS flags,
    f.n AS notices
FROM rollup.flagged_minute f
LEFT JOIN config.exchange e ON e.key = f.exchange
LEFT JOIN config.campaign c ON c.key = f.campaign
LEFT JOIN rollup.name k ON k.dimension = 'kind' AND k.key = f.kind;
COMMENT ON VIEW report.flagged IS 'Genuine notices that booked nothing, by what was wrong with them.';
COMMENT ON COLUMN report.flagged.minute IS 'Minute of the bid';
COMMENT ON COLUMN report.flagged.exchange IS 'Name of the exchange';
COMMENT ON COLUMN report.flagged.campaign IS 'Campaign id';
COMMENT ON COLUMN report.flagged.kind IS 'win, bill, loss, impression, click or conversion';
COMMENT ON COLUMN report.flagged.flags IS 'What was wrong, words separated by blanks';
COMMENT ON COLUMN report.flagged.notices IS 'Notices, repeats included';

CREATE VIEW report.suspense AS
SELECT s.received_at, coalesce(e.name, '#' || s.exchange) AS exchange, coalesce(c.id, '#' || s.campaign) AS campaign,
    to_timestamp(('x' || encode(substring(s.bid_id FROM 1 FOR 4), 'hex'))::bit(32)::bigint * 60) AS minute,
    encode(s.bid_id, 'hex') AS bid_id, s.price_nano AS price_nano_usd, s.price_nano * 0.000000001 AS price_usd
FROM ledger.suspense s
LEFT JOIN config.exchange e ON e.key = s.exchange
LEFT JOIN config.campaign c ON c.key = s.campaign;
COMMENT ON VIEW report.suspense IS 'Bills that came after the life of their token: not in any spend figure, for review.';
COMMENT ON COLUMN report.suspense.received_at IS 'Receipt of the bill';
COMMENT ON COLUMN report.suspense.exchange IS 'Name of the exchange';
COMMENT ON COLUMN report.suspense.campaign IS 'Campaign id';
COMMENT ON COLUMN report.suspense.minute IS 'Minute of the bid';
COMMENT ON COLUMN report.suspense.bid_id IS 'Id of the bid, as the exchange has it';
COMMENT ON COLUMN report.suspense.price_nano_usd IS 'What it asks for, in billionths of a US dollar';
COMMENT ON COLUMN report.suspense.price_usd IS 'What it asks for, in US dollars';

CREATE VIEW report.budget AS
SELECT c.id AS campaign, a.id AS advertiser, c.status, c.timezone,
    c.total_nano * 0.000000001 AS total_usd, c.daily_nano * 0.000000001 AS daily_usd,
    c.hourly_nano * 0.000000001 AS hourly_usd,
    coalesce(s.spent, 0)::bigint AS spend_nano_usd, coalesce(s.spent, 0) * 0.000000001 AS spend_usd,
    coalesce(s.spent_today, 0) * 0.000000001 AS spend_today_usd,
    coalesce(s.leased, 0) * 0.000000001 AS leased_usd
FROM config.campaign c
JOIN config.advertiser a ON a.key = c.advertiser
LEFT JOIN LATERAL (
    SELECT sum(m.spent) AS spent,
        sum(m.spent) FILTER (WHERE l.day = (now() AT TIME ZONE c.timezone)::date) AS spent_today,
        sum(l.amount_nano) FILTER (WHERE l.closed_at IS NULL) AS leased
    FROM ledger.lease l
    LEFT JOIN LATERAL (SELECT sum(spent_nano) AS spent FROM ledger.lease_minute WHERE lease = l.id) m ON true
    WHERE l.campaign = c.key
) s ON true;
COMMENT ON VIEW report.budget IS 'Budgets of all campaigns and what has been spent of them.';
COMMENT ON COLUMN report.budget.campaign IS 'Campaign id';
COMMENT ON COLUMN report.budget.advertiser IS 'Its advertiser';
COMMENT ON COLUMN report.budget.status IS 'active, paused or archived';
COMMENT ON COLUMN report.budget.timezone IS 'Zone of its days and hours';
COMMENT ON COLUMN report.budget.total_usd IS 'Limit over all its life; NULL: none';
COMMENT ON COLUMN report.budget.daily_usd IS 'Limit a day; NULL: none';
COMMENT ON COLUMN report.budget.hourly_usd IS 'Limit an hour; NULL: none';
COMMENT ON COLUMN report.budget.spend_nano_usd IS 'Booked so far, in billionths of a US dollar';
COMMENT ON COLUMN report.budget.spend_usd IS 'Booked so far, in US dollars';
COMMENT ON COLUMN report.budget.spend_today_usd IS 'Booked for bids of its present day';
COMMENT ON COLUMN report.budget.leased_usd IS 'What hosts may have spent at the end of the leases that are open';

CREATE VIEW report.lease AS
SELECT l.id AS lease, c.id AS campaign, l.host, l.hour, l.day,
    CASE WHEN l.closed_at IS NOT NULL THEN 'closed' WHEN l.take_until > now() THEN 'open' ELSE 'settling' END AS state,
    l.amount_nano * 0.000000001 AS amount_usd, coalesce(m.spent, 0) * 0.000000001 AS spend_usd,
    (l.amount_nano - coalesce(m.spent, 0)) * 0.000000001 AS left_usd,
    l.take_until, l.settle_until
FROM ledger.lease l
JOIN config.campaign c ON c.key = l.campaign
LEFT JOIN LATERAL (SELECT sum(spent_nano) AS spent FROM ledger.lease_minute WHERE lease = l.id) m ON true;
COMMENT ON VIEW report.lease IS 'Rights of hosts to spend from a campaign in one budget hour.';
COMMENT ON COLUMN report.lease.lease IS 'Number of the lease';
COMMENT ON COLUMN report.lease.campaign IS 'Campaign id';
COMMENT ON COLUMN report.lease.host IS 'Bidder host that holds it';
COMMENT ON COLUMN report.lease.hour IS 'Start of the budget hour';
COMMENT ON COLUMN report.lease.day IS 'Its day in the zone of the campaign';
COMMENT ON COLUMN report.lease.state IS 'open: may be taken from; settling: only settles; closed';
COMMENT ON COLUMN report.lease.amount_usd IS 'All that it may cost';
COMMENT ON COLUMN report.lease.spend_usd IS 'What it has cost so far';
COMMENT ON COLUMN report.lease.left_usd IS 'The rest; below zero: overspent by late bills';
COMMENT ON COLUMN report.lease.take_until IS 'Until then bids may take from it';
COMMENT ON COLUMN report.lease.settle_until IS 'Until then notices settle it';

CREATE VIEW report.ledger AS
SELECT b.name AS account, b.kind, c.id AS campaign, e.name AS exchange,
    b.debits_nano * 0.000000001 AS debits_usd, b.credits_nano * 0.000000001 AS credits_usd,
    b.balance_nano::bigint AS balance_nano_usd, b.balance_nano * 0.000000001 AS balance_usd
FROM ledger.balance b
LEFT JOIN ledger.lease l ON b.kind = 'lease' AND l.id = b.ref
LEFT JOIN config.campaign c ON c.key = CASE b.kind WHEN 'campaign' THEN b.ref WHEN 'lease' THEN l.campaign END
LEFT JOIN config.exchange e ON b.kind = 'media' AND e.key = b.ref;
COMMENT ON VIEW report.ledger IS 'Balances of all accounts; they add up to zero. Grants go from campaign to lease, media cost from lease to the exchange, what was not spent back to the campaign.';
COMMENT ON COLUMN report.ledger.account IS 'campaign:key, lease:id or media:exchange key';
COMMENT ON COLUMN report.ledger.kind IS 'campaign, lease or media';
COMMENT ON COLUMN report.ledger.campaign IS 'Campaign id, of campaign and lease accounts';
COMMENT ON COLUMN report.ledger.exchange IS 'Name of the exchange, of media accounts';
COMMENT ON COLUMN report.ledger.debits_usd IS 'Taken from it, in US dollars';
COMMENT ON COLUMN report.ledger.credits_usd IS 'Given to it, in US dollars';
COMMENT ON COLUMN report.ledger.balance_nano_usd IS 'credits - debits, in billionths of a US dollar';
COMMENT ON COLUMN report.ledger.balance_usd IS 'credits - debits, in US dollars';

CREATE VIEW report.data_status AS
SELECT 'counters' AS source, p.producer AS name, p.epoch, p.seq AS position,
    to_timestamp(p.window_ms / 1000.0) AS complete_through,
    round(extract(epoch FROM now() - to_timestamp(p.window_ms / 1000.0)), 3) AS lag_s,
    coalesce(g.lost, 0)::bigint AS lost_windows, g.first_lost_at, g.last_lost_at
FROM ops.progress p
LEFT JOIN LATERAL (
    SELECT sum(last_seq - first_seq + 1) AS lost, to_timestamp(min(after_ms) / 1000.0) AS first_lost_at,
        to_timestamp(max(before_ms) / 1000.0) AS last_lost_at
    FROM ops.gap WHERE producer = p.producer AND epoch = p.epoch
) g ON true
UNION ALL
SELECT 'money', stream, NULL, position, checked_at, round(extract(epoch FROM now() - checked_at), 3), 0, NULL, NULL
FROM ops.stream;
COMMENT ON VIEW report.data_status IS 'How far the facts reach and what is missing, per producer of counters (one a bidder host) and per stream of money events.';
COMMENT ON COLUMN report.data_status.source IS 'counters (requests, bids, no-bids, latency) or money (notices)';
COMMENT ON COLUMN report.data_status.name IS 'Producer, or id of the stream';
COMMENT ON COLUMN report.data_status.epoch IS 'Life of the producer; older ones stand still';
COMMENT ON COLUMN report.data_status.position IS 'Last window, or byte of the stream, that is in the reports';
COMMENT ON COLUMN report.data_status.complete_through IS 'All that was acknowledged before this time is in the reports';
COMMENT ON COLUMN report.data_status.lag_s IS 'Seconds since then';
COMMENT ON COLUMN report.data_status.lost_windows IS 'Counter windows that could not be had again: their counts are missing';
COMMENT ON COLUMN report.data_status.first_lost_at IS 'The first gap begins here';
COMMENT ON COLUMN report.data_status.last_lost_at IS 'The last gap ends here';

-- Roles are of the whole cluster: another database may have made the group already, or be making it now.
-- The owner belongs to it too, to look through an analyst's eyes.
DO $$
BEGIN
    BEGIN
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'analyst') THEN
            CREATE ROLE analyst NOLOGIN;
        END IF;
    EXCEPTION WHEN duplicate_object OR unique_violation THEN
        NULL;
    END;
    IF NOT pg_has_role(current_user, 'analyst', 'MEMBER') THEN
        GRANT analyst TO CURRENT_USER;
    END IF;
EXCEPTION WHEN insufficient_privilege THEN
    RAISE EXCEPTION 'group analyst is missing or not ours; run as a superuser: CREATE ROLE analyst NOLOGIN; GRANT analyst TO %',
        quote_ident(current_user);
END
$$;
GRANT USAGE ON SCHEMA report TO analyst;
GRANT SELECT ON ALL TABLES IN SCHEMA report TO analyst;
ALTER DEFAULT PRIVILEGES IN SCHEMA report GRANT SELECT ON TABLES TO analyst;
