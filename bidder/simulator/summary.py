"""The exchange's own books: what was asked, answered, won, shown, clicked and billed.

player -> Summary, one a process -> merge() -> document(), as `--json` prints it.
Money: int nano-USD. Test requests (`test: 1`) are kept apart: the bidder books nothing of them.
Wins, impressions, clicks and spend count when they happen, not when they are acknowledged: what could not be told
stands under `notices`.
"""

from collections import Counter
from dataclasses import dataclass, field, fields
from typing import Any

from bidder.simulator.latency import Latency

COUNTED = frozenset((200, 204, 400))  # statuses that make an answer to a bid request; the bidder counts the same


@dataclass(slots=True)
class Tally:
    """Figures that reports have too."""

    bids: int = 0
    wins: int = 0
    impressions: int = 0
    clicks: int = 0
    spend_nano_usd: int = 0

    def merge(self, other: "Tally") -> None:
        """Add what another process counted."""
        for each in fields(Tally):
            setattr(self, each.name, getattr(self, each.name) + getattr(other, each.name))

    def document(self) -> dict[str, int]:
        """By name."""
        return {each.name: getattr(self, each.name) for each in fields(Tally)}


@dataclass(slots=True)
class Side:
    """The books of real requests, or those of test requests."""

    status: Counter[int] = field(default_factory=Counter)
    campaigns: dict[str, Tally] = field(default_factory=dict)  # by `cid`

    @property
    def requests(self) -> int:
        """Those that got an answer."""
        return sum(n for status, n in self.status.items() if status in COUNTED)

    def total(self) -> Tally:
        """Of all campaigns."""
        total = Tally()
        for tally in self.campaigns.values():
            total.merge(tally)
        return total

    def of(self, campaign: str) -> Tally:
        """The tally of one campaign, to count in."""
        return self.campaigns.setdefault(campaign, Tally())

    def merge(self, other: "Side") -> None:
        """Add what another process counted."""
        self.status.update(other.status)
        for campaign, tally in other.campaigns.items():
            self.of(campaign).merge(tally)

    def document(self) -> dict[str, Any]:
        """Totals first."""
        status = {str(code): self.status[code] for code in sorted(self.status)}
        return {"requests": self.requests, "status": status, **self.total().document()}


@dataclass(slots=True)
class Notices:
    """What became of notices, pixels and clicks. Each ends as acknowledged, refused or abandoned."""

    sent: int = 0
    acknowledged: int = 0
    refused: Counter[str] = field(default_factory=Counter)  # genuine ones, by kind and status
    abandoned: Counter[str] = field(default_factory=Counter)  # no answer that counts within the time, by kind
    repeated: int = 0  # sent again for want of an answer
    duplicates: int = 0  # sent twice on purpose
    late: int = 0  # sent late on purpose
    elsewhere: Counter[str] = field(default_factory=Counter)  # to hosts that are not this machine, never sent; by kind
    forged: int = 0
    forged_taken: int = 0  # and that were not refused

    @property
    def untold(self) -> int:
        """What the bidder cannot know of, and forgeries that it believed."""
        return self.refused.total() + self.abandoned.total() + self.elsewhere.total() + self.forged_taken

    def merge(self, other: "Notices") -> None:
        """Add what another process counted."""
        for each in fields(Notices):
            mine, theirs = getattr(self, each.name), getattr(other, each.name)
            setattr(self, each.name, mine + theirs)

    def document(self) -> dict[str, Any]:
        """By name."""
        found = {each.name: getattr(self, each.name) for each in fields(Notices)}
        return {name: dict(sorted(n.items())) if isinstance(n, Counter) else n for name, n in found.items()}


@dataclass(slots=True)
class Summary:
    """Everything that one play, or one process of it, has counted."""

    real: Side = field(default_factory=Side)
    test: Side = field(default_factory=Side)
    notices: Notices = field(default_factory=Notices)
    sent: int = 0  # bid requests, answered or not
    errors: Counter[str] = field(default_factory=Counter)  # bid requests without an answer, by what went wrong
    closed_connections: int = 0  # by the server, of all kinds
    invalid: Counter[str] = field(default_factory=Counter)  # bids and responses that break a rule, by rule
    linted: int = 0  # answers that the linter has judged: all, or a sample
    violations: Counter[str] = field(default_factory=Counter)  # that it calls errors, by rule
    warnings: Counter[str] = field(default_factory=Counter)
    losses: Counter[str] = field(default_factory=Counter)  # bids that lost, by OpenRTB loss reason
    late: int = 0  # answers after the deadline; their bids lose
    latency: Latency = field(default_factory=Latency)  # from the time that was intended
    service: Latency = field(default_factory=Latency)  # from the time of sending
    seconds: float = 0.0  # of sending; the longest of all processes
    cpu_s: float = 0.0  # of the exchange itself, from the first request to the last acknowledgement

    @property
    def clean(self) -> bool:
        """Every request was answered, no answer broke a rule, and everything was told and believed as it should be."""
        return not (self.errors or self.invalid or self.violations or self.notices.untold)

    def merge(self, other: "Summary") -> None:
        """Add what another process counted."""
        for name in ("real", "test", "notices", "latency", "service"):
            getattr(self, name).merge(getattr(other, name))
        for name in ("errors", "invalid", "violations", "warnings", "losses"):
            getattr(self, name).update(getattr(other, name))
        for name in ("sent", "linted", "closed_connections", "late", "cpu_s"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.seconds = max(self.seconds, other.seconds)

    def document(self) -> dict[str, Any]:
        """With stable keys, for `--json`."""
        campaigns = {name: tally.document() for name, tally in sorted(self.real.campaigns.items())}
        return {
            **self.real.document(),
            "sent": self.sent,
            "losses": dict(sorted(self.losses.items())),
            "invalid": dict(sorted(self.invalid.items())),
            "linted": self.linted,
            "violations": dict(sorted(self.violations.items())),
            "warnings": dict(sorted(self.warnings.items())),
            "late": self.late,
            "errors": self.errors.total(),
            "error_kinds": dict(sorted(self.errors.items())),
            "closed_connections": self.closed_connections,
            "notices": self.notices.document(),
            "latency_ms": self.latency.document(),
            "service_ms": self.service.document(),
            "seconds": round(self.seconds, 3),
            "rate": round(self.sent / self.seconds, 1) if self.seconds else 0.0,
            "cpu_s": round(self.cpu_s, 3),
            "test": self.test.document(),
            "campaigns": campaigns,
        }
