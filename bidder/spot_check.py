"""Spot checks: of the bids that a worker makes, a few a second at most are held against the linter.

decider keeps one bid -> tick(), between batches -> lint -> counts, and bounded lines in the log

The hot path pays one comparison for an answer with bids, and a copy for the few that are kept. What is logged names
rules, paths and exchanges; requests, answers and messages of the linter stay in the process. All times: monotonic ns.
"""

from collections import Counter
from collections.abc import Mapping
from decimal import Decimal
from typing import Protocol

from bidder.openrtb.lint import Severity, Violation, lint
from bidder.openrtb.profile import profile_of
from bidder.ops.log import Log
from bidder.settings import Exchange

NS = 1_000_000_000
TOLD_EVERY_NS = 60 * NS


class Keeper(Protocol):
    """What is asked of `bidder._fast.decision.Decider`."""

    def sample(self) -> tuple[bytes, bytes, bytes] | None:
        """(exchange, request, answer) of a bid since the last call."""


class SpotCheck:
    """Of one worker. `per_s` 0: never."""

    def __init__(self, keeper: Keeper, exchanges: Mapping[str, Exchange], per_s: float, log: Log) -> None:
        self.checked = 0
        self.broken: Counter[tuple[str, str]] = Counter()  # exchange, rule
        self.rates: Mapping[str, Decimal] = {}  # of the book that is served: what one USD is worth
        self._keeper = keeper
        self._profiles = {name.encode(): profile_of(name, exchange) for name, exchange in exchanges.items()}
        self._every_ns = int(NS / per_s) if per_s > 0 else 0
        self._due_ns = 0
        self._tell_ns = 0
        self._untold = 0
        self._log = log

    def tick(self, now_ns: int) -> bool:
        """True if a bid was checked, which takes some 0.1 ms."""
        if not self._every_ns or now_ns < self._due_ns:
            return False
        self._due_ns = now_ns + self._every_ns
        kept = self._keeper.sample()
        if kept is not None:
            self._check(*kept)
        if self._untold and now_ns >= self._tell_ns:
            self._tell(now_ns)
        return kept is not None

    def _check(self, exchange: bytes, request: bytes, answer: bytes) -> None:
        self.checked += 1
        try:
            found = lint(request, answer, profile=self._profiles[exchange], rates=self.rates)
        except Exception:  # a bug of the linter, which must not cost a worker
            self._log.exception("the linter failed")
            return
        for violation in found:
            self._object(exchange.decode(), violation)

    def _object(self, exchange: str, violation: Violation) -> None:
        """The first of a kind is told at once, the others are counted."""
        kind = exchange, violation.rule
        self.broken[kind] += 1
        self._untold += 1
        if self.broken[kind] == 1:
            tell = self._log.error if violation.severity is Severity.ERROR else self._log.warning
            tell("a bid breaks a rule", exchange=exchange, rule=violation.rule, path=violation.path)

    def _tell(self, now_ns: int) -> None:
        self._tell_ns = now_ns + TOLD_EVERY_NS
        self._untold = 0
        broken = {f"{exchange} {rule}": n for (exchange, rule), n in sorted(self.broken.items())}
        self._log.info("bids held against the linter", checked=self.checked, broken=broken)
