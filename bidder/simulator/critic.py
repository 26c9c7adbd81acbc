"""The critic: holds a sample of the answers against the linter, and counts what an exchange would object to.

Every k-th answer, so that judging keeps to `lint_per_s` at the play's rate and does not show in its latencies.
"""

import math
from collections import Counter

from bidder.openrtb.lint import Profile, Severity, lint
from bidder.simulator.connections import Answer


class Critic:
    """`errors` and `warnings` by rule, over `judged` answers."""

    def __init__(self, exchange: str, rate: float, lint_per_s: int) -> None:
        self.judged = 0
        self.errors: Counter[str] = Counter()
        self.warnings: Counter[str] = Counter()
        self._profile = Profile(name=exchange)
        self._every = math.ceil(rate / lint_per_s) if lint_per_s else 0
        self._heard = 0

    def hear(self, body: bytes, answer: Answer) -> None:
        """An answer to the request with this body."""
        self._heard += 1
        if not self._every or self._heard % self._every:
            return
        self.judged += 1
        for violation in lint(
            body, answer.body, status=answer.status, headers=_fields(answer.head), profile=self._profile
        ):
            counts = self.errors if violation.severity is Severity.ERROR else self.warnings
            counts[violation.rule] += 1


def _fields(head: bytes) -> dict[str, str]:
    lines = head.decode("latin-1").split("\r\n")[1:]
    return {name.strip(): value.strip() for name, _, value in (line.partition(":") for line in lines) if name}
