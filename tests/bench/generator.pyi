"""The open-loop load generator, compiled (tests/bench/build.py). What is counted: tests/bench/openloop.py."""

from typing import Any

def quantiles(of_ns: list[int]) -> dict[str, float]:
    """Microseconds: p50, p99, p99.9 within 0.4 %, and max, as a load's own times are told."""

class Load:
    def __init__(
        self,
        port: int,
        payloads: list[bytes],
        *,
        rate: float,
        seconds: float,
        connections: int,
        depth: int,
        deadline_ms: float,
        late_ms: float,
        seed: int,
        rate_before: float = 0,
        seconds_before: float = 0,
    ) -> None:
        """Opens the connections to 127.0.0.1:`port`. `payloads` are whole requests, sent in turns.

        ValueError: out of bounds (ten million requests/s, an hour, 8192 connections, 1024 requests on each);
        ConnectionRefusedError, TimeoutError: the server does not take that many within ten seconds.
        """

    def play(self) -> None:
        """The whole load, once, without the GIL; returns when all is answered, or a second after the last was due."""

    def stop(self) -> None:
        """From another thread, while it plays: nothing more becomes due, and `play` returns as at its end."""

    def counts(self) -> dict[str, Any]:
        """Requests by what became of them, quantiles in microseconds, and `per_100_ms`: lists of counts.

        While it plays, from another thread: what there is so far, a request or so apart from each other.
        """

    def close(self) -> None:
        """Let go of the sockets."""
