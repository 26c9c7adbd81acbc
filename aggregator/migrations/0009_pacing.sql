-- When traffic comes: learned by the controller once an hour from rollup.traffic_minute, for the plans of even budgets.

-- Requests of an hour of the week, a mean in which each week counts as much as all before it.
CREATE TABLE rollup.traffic_curve (
    exchange smallint NOT NULL,
    country integer NOT NULL, -- alpha-3, packed
    hour_of_week smallint NOT NULL, -- 0: Monday 00:00 UTC
    requests double precision NOT NULL,
    PRIMARY KEY (exchange, country, hour_of_week)
);

-- Where a campaign bids. A bid counts twice as much as one a week older: numbers grow instead of fading.
CREATE TABLE rollup.campaign_reach (
    campaign bigint NOT NULL,
    exchange smallint NOT NULL,
    country integer NOT NULL,
    bids double precision NOT NULL,
    PRIMARY KEY (campaign, exchange, country)
);

-- Hours that both have learned from.
CREATE TABLE rollup.learned_hour (hour timestamptz PRIMARY KEY);

-- How much livelier the hour of a lease begins than it ends; see bidder.money.wire.Lease.
ALTER TABLE ledger.lease ADD COLUMN tilt real NOT NULL DEFAULT 0;

-- What auctions could have been won for, as exchanges tell (minimum to win), for shading. Nothing of persons, nor of campaigns.
CREATE TABLE rollup.min_to_win_day (
    day integer NOT NULL, -- since 1970, of the bid, UTC
    class bigint NOT NULL, -- of placements: exchange, format, size; see bidder.money.shading
    bin smallint NOT NULL, -- 8 times the binary logarithm of nano-USD, rounded down
    auctions bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (day, class, bin)
);
