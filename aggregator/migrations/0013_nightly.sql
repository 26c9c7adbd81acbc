-- What runs once a night: looking whether everything adds up, and giving up what is old.

GRANT INSERT, UPDATE ON ops.shard TO bookkeeper;
