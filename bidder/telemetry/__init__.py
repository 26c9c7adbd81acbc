"""What a host says of itself to those who watch it: /metrics, StatsD, alerts."""
