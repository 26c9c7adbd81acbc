"""Money under faults, simulated: production code on a virtual clock, Postgres as an obvious reference."""
