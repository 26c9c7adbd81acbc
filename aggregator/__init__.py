"""The aggregator: counters from the bus and notices from the durable stream become rows in Postgres, each once."""
