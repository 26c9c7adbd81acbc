"""A deterministic simulation of money under faults: production code on a virtual clock, Postgres as an obvious reference."""
