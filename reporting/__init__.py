"""Reports: what analysts read of the facts in Postgres."""
