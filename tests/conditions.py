"""Waiting in tests: for a condition, with a deadline, never for a time."""

import time
from collections.abc import Callable
from typing import TypeVar

Value = TypeVar("Value")


def wait_until(condition: Callable[[], Value], timeout_s: float = 10.0, what: str = "the condition") -> Value:
    """The first true value of `condition`; AssertionError names `what` did not come in time.

    Asked every few milliseconds; exceptions of `condition` go through.
    """
    deadline = time.monotonic() + timeout_s
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= deadline:
            raise AssertionError(f"waited {timeout_s:g} s in vain for {what}; last answer: {value!r}")
        time.sleep(0.005)
