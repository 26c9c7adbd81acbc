"""Spot checks: of the bids that a worker sends, a few a second at most are held against the linter.

decider keeps one bid -> tick(), between batches -> lint -> counts, and bounded lines in the log

Bids that workers of a canary or its baseline have made are checked more often, and each is counted: the canary is
judged by it.

The hot path pays one comparison for an answer with bids, and a copy for the few that are kept. What is logged names
rules, paths and exchanges; requests, answers and messages of the linter stay in the process. All times: monotonic ns.
"""

from collections import Counter
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Protocol

from bidder.openrtb.lint import Severity, Violation, lint
from bidder.openrtb.profile import profile_of
from bidder.ops.log import Log
from bidder.settings import Exchange

NS = 1_000_000_000
TOLD_EVERY_NS = 60 * NS
ARMS = (1, 2)  # of a canary and its baseline
ARMS_PER_S = 4  # bids of each, while there are any


class Keeper(Protocol):
    """What is asked of `bidder._fast.decision.Decider`."""

    def sample(self, arm: int = 0) -> tuple[bytes, bytes, bytes] | None:
        """(exchange, request, answer) of a bid of this arm since the last call."""


class SpotCheck:
    """Of one worker. `per_s`: of bids of its own; 0: never. `count`: of a bid of an arm, key of the exchange, arm, is
    it valid?"""

    def __init__(
        self,
        keeper: Keeper,
        exchanges: Mapping[str, Exchange],
        per_s: float,
        log: Log,
        count: Callable[[int, int, bool], None] = lambda exchange, arm, valid: None,
    ) -> None:
        self.checked = 0
        self.broken: Counter[tuple[str, str]] = Counter()  # exchange, rule
        self.rates: Mapping[str, Decimal] = {}  # of the book that is served: what one USD is worth
        self._keeper = keeper
        self._profiles = {name.encode(): profile_of(name, exchange) for name, exchange in exchanges.items()}
        self._keys = {name.encode(): exchange.key for name, exchange in exchanges.items()}
        self._count = count
        self._every_ns = dict.fromkeys(ARMS, NS // ARMS_PER_S) | ({0: int(NS / per_s)} if per_s > 0 else {})
        self._due_ns = dict.fromkeys(self._every_ns, 0)  # by arm
        self._tell_ns = 0
        self._untold = 0
        self._log = log

    def tick(self, now_ns: int) -> bool:
        """True if a bid was checked, which takes some 0.1 ms; at most one is."""
        due = [arm for arm, due_ns in self._due_ns.items() if now_ns >= due_ns]
        checked = False
        for arm in due:
            kept = self._keeper.sample(arm)
            if kept is not None:
                self._due_ns[arm] = now_ns + self._every_ns[arm]
                self._check(arm, *kept)
                checked = True
                break
        if self._untold and now_ns >= self._tell_ns:
            self._tell(now_ns)
        return checked

    def _check(self, arm: int, exchange: bytes, request: bytes, answer: bytes) -> None:
        self.checked += 1
        try:
            found = lint(request, answer, profile=self._profiles[exchange], rates=self.rates)
        except Exception:  # a bug of the linter, which must not cost a worker
            self._log.exception("the linter failed")
            return
        self._count(self._keys[exchange], arm, all(fault.severity is not Severity.ERROR for fault in found))
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
