"""Manual of what a route may do to a connection while it answers."""

class Peer:
    def send(self, data: bytes) -> None:
        """Of a route: write; nothing happens if the client is gone."""
    def abort(self) -> None:
        """Drop the connection at once."""
    @property
    def peer(self) -> tuple[str, int] | tuple[str, int, int, int] | str | None:
        """Address of the client as the socket has it; None: gone."""
    @property
    def writable(self) -> bool:
        """False while the client reads more slowly than we write."""
