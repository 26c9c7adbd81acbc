"""A fuzz loop over the listener's protocol, compiled."""

from collections.abc import Callable

def run(
    seeds: list[bytes],
    words: list[bytes],
    last: memoryview,
    *,
    seed: int,
    executions: int,
    seconds: float,
    oracle_every: int,
    oracle: Callable[[bytes, list[tuple[bytes, bytes]]], object],
    progress: Callable[[int, int, int], object],
) -> int:
    """How many inputs were read: `executions`, or as many as `seconds` allowed.

    `last` and `progress` as for the reader. `oracle(data, requests)`: (target, body) of each request that
    was read of the input given in one piece, to the handler or to the route.
    AssertionError: answers depend on how bytes are split, or on who else is in the batch; a promise is broken; or
    what the oracle raised.
    """
