"""What an exchange plays: the options of `outbid exchange play`, checked once.

Shares are 0 to 1, prices CPM in USD, times in the unit of their name.
"""

from dataclasses import dataclass
from pathlib import Path

from bidder.simulator.loopback import Address, address_of

DEFAULT_SECONDS = 30.0
MAX_RATE = 200_000.0


class PlayError(Exception):
    """The exchange cannot play; the message is the one line that the user reads."""


@dataclass(frozen=True, slots=True)
class Options:
    """Frozen; PlayError names the option that is wrong."""

    url: str = "http://127.0.0.1:8000"
    exchange: str = "generic"
    source: Path | None = None  # a corpus, one body a line; None: synthetic traffic
    rate: float = 500.0  # requests a second, of all processes
    seconds: float | None = None  # neither: DEFAULT_SECONDS
    requests: int | None = None
    connections: int = 16  # kept open, in each process; ten times as many where these do not suffice
    seed: int = 1
    processes: int = 1
    win_median_cpm: float = 4.0  # of the best bid of our competitors
    deadline_ms: float = 100.0
    rendered: float = 0.97  # of wins: those that a page shows, so that they are billed
    click_rate: float = 0.02  # of impressions
    duplicates: float = 0.0  # of notices: sent twice
    late: float = 0.0  # of billing notices: sent `late_s` later
    late_s: float = 15.0
    lint_per_s: int = 500  # answers that each process holds against the linter, at most
    forged: float = 0.0  # of notices: sent with a damaged token too

    def __post_init__(self) -> None:
        if self.address is None:
            raise PlayError(f"--url {self.url}: only this machine is played to, as in http://127.0.0.1:8000")
        if not self.exchange or not self.exchange.isascii() or not self.exchange.replace("-", "_").isidentifier():
            raise PlayError(f"--exchange {self.exchange!r}: a name as in /bid/generic is wanted")
        for name in ("rendered", "click_rate", "duplicates", "late", "forged"):
            if not 0 <= getattr(self, name) <= 1:
                raise PlayError(f"--{name.replace('_', '-')} {getattr(self, name)}: a share from 0 to 1 is wanted")
        bounds: dict[str, tuple[float, float]] = {
            "rate": (0.01, MAX_RATE), "connections": (1, 4096), "processes": (1, 64), "deadline_ms": (1, 60_000),
            "win_median_cpm": (0.000_001, 1_000_000), "late_s": (0, 3_600), "seed": (0, 2**63 - 1),
            "lint_per_s": (0, 100_000),
        }  # fmt: skip
        for name, (least, most) in bounds.items():
            if not least <= getattr(self, name) <= most:
                option = f"--{name.replace('_', '-')} {getattr(self, name):g}"
                raise PlayError(f"{option}: {least:g} to {most:g} is wanted")
        if self.seconds is not None and self.requests is not None:
            raise PlayError("--seconds and --requests: one of them ends the play, not both")
        if self.seconds is not None and not 0 < self.seconds <= 86_400:
            raise PlayError(f"--seconds {self.seconds:g}: more than 0, at most a day, is wanted")
        if self.requests is not None and self.requests < 1:
            raise PlayError(f"--requests {self.requests}: at least 1 is wanted")

    @property
    def address(self) -> Address | None:
        """Where bid requests go; None only while it is being checked."""
        return address_of(f"{self.url.rstrip('/')}/bid/{self.exchange}")
