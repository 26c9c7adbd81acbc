"""What passes between processes: the schema, the bus, the durable stream."""
