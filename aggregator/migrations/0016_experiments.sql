-- Experiments: parts of the traffic that are decided on with other features. Every change raises config.revision, so books have it.

CREATE TABLE config.experiment (
    id integer GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    name text NOT NULL UNIQUE,
    began timestamptz NOT NULL DEFAULT now(),
    ended timestamptz -- NULL: it runs
);

-- The key is what counters, tokens and rollups carry; it is used again only once this row is gone (`outbid experiment remove`).
CREATE TABLE config.experiment_arm (
    key smallint PRIMARY KEY CHECK (key BETWEEN 3 AND 255),
    experiment integer NOT NULL REFERENCES config.experiment ON DELETE CASCADE,
    position smallint NOT NULL, -- as it was started; the first one is what the others are held against
    name text NOT NULL,
    first_bucket integer NOT NULL CHECK (first_bucket >= 0),
    buckets integer NOT NULL CHECK (buckets > 0),
    features_off text[] NOT NULL DEFAULT '{}',
    UNIQUE (experiment, name),
    UNIQUE (experiment, position),
    CHECK (first_bucket + buckets <= 10000)
);
COMMENT ON COLUMN config.experiment_arm.first_bucket IS 'Of 10,000; the ranges of arms that run never overlap (bidder/controller/experiments.py).';

CREATE VIEW report.experiments AS
SELECT e.name AS experiment, a.name AS arm, e.name || '/' || a.name AS arm_name, round(a.buckets / 10000.0, 4) AS share, a.features_off,
    e.began, e.ended
FROM config.experiment e JOIN config.experiment_arm a ON a.experiment = e.id;
COMMENT ON VIEW report.experiments IS 'Arms of experiments; `arm` of the other views is arm_name here.';
COMMENT ON COLUMN report.experiments.experiment IS 'Its name';
COMMENT ON COLUMN report.experiments.arm IS 'Name of the arm in its experiment';
COMMENT ON COLUMN report.experiments.arm_name IS 'What the arm is called in the other views';
COMMENT ON COLUMN report.experiments.share IS 'Part of the traffic, 0 to 1';
COMMENT ON COLUMN report.experiments.features_off IS 'Features of the bidder that are off in it';
COMMENT ON COLUMN report.experiments.began IS 'When it was started';
COMMENT ON COLUMN report.experiments.ended IS 'When it was stopped; NULL: it runs';
