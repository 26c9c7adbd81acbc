"""A fuzz loop over the reader of bid requests, compiled."""

from collections.abc import Callable

from bidder._fast.request import Reader

def run(
    seeds: list[bytes],
    words: list[bytes],
    last: memoryview,
    *,
    seed: int,
    executions: int,
    seconds: float,
    oracle_every: int,
    oracle: Callable[[bytes, int, Reader], object],
    progress: Callable[[int, int, int], object],
) -> int:
    """How many bodies were read: `executions`, or as many as `seconds` allowed.

    `last` (writable, at least 81,928 bytes) always holds the input at hand: eight bytes of length, then the text.
    `oracle(body, code, reader)` sees each `oracle_every`th (0: none); `progress(executions, pool, edges)` now and then.
    AssertionError: a request points out of the reader's memory, or what the oracle raised.
    """
