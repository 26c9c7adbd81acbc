"""What operators see and hold: log, control sockets, presence, metrics, switches, status."""
