"""What a host knows of its canary: `<state>/canary.json`, replaced whole each second while one is under way.

It outlives its supervisor: the next one goes on from it. Buckets: of 10,000. Money: int nano-USD. Times: wall clock ms,
or seconds heard by the judge.
"""

import os
from enum import StrEnum
from pathlib import Path
from typing import Any

import msgspec

FILE = "canary.json"
BUCKETS = 10_000
MOST_BUCKETS = BUCKETS // 2  # of the canary: its baseline has as many


class Phase(StrEnum):
    """Where a canary stands."""

    CHECKING = "checking"  # can its build serve this host?
    STARTING = "starting"  # workers are begun for the next slice
    RUNNING = "running"
    PROMOTING = "promoting"  # the stable workers are renewed from its build
    ENDED = "ended"


class Outcome(StrEnum):
    """How it ended."""

    PROMOTED = "promoted"
    ROLLED_BACK = "rolled back"
    INCONCLUSIVE = "inconclusive"
    ABORTED = "aborted"
    FAILED = "failed"  # it could not be tried, or not be promoted


class Plan(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What an operator asks for."""

    build: str
    steps: list[int]  # buckets, each more than the one before
    min_s: int = 300  # of each step
    exchange: str | None = None  # only of this one
    country: str | None = None  # only of this one, alpha-3
    max_spend: int | None = None  # nano-USD
    auto_promote: bool = False
    shadow: bool = False

    def wrong(self) -> str | None:
        """Why that cannot be done anywhere."""
        pairs = zip(self.steps, self.steps[1:], strict=False)
        if not self.steps or any(later <= earlier for earlier, later in pairs):
            return "each step is wider than the one before"
        if self.steps[0] < 1 or self.steps[-1] > MOST_BUCKETS:
            return "a slice is 0.01 % to 50 %, as the baseline has as much"
        if self.min_s < 1:
            return "a step takes a second at least"
        if self.max_spend is not None and self.max_spend <= 0:
            return "what it may spend is more than nothing"
        if self.shadow and self.max_spend is not None:
            return "a shadow spends nothing, so there is nothing to limit"
        if self.shadow and self.auto_promote:
            return "a shadow promotes nothing, as its answers are not sent"
        return None


class Canary(msgspec.Struct):
    """One canary, the last of this host. `judge`: bidder.canary.judge.Judge.as_dict; `verdict`: the newest one."""

    id: str
    plan: Plan
    actor: str
    started_ms: int
    stable: str = ""  # build that it is held against
    stable_digest: str = ""
    digest: str = ""
    phase: Phase = Phase.CHECKING
    step: int = 0  # of the plan, that it is in or on its way to
    step_from_s: int = 0  # the judge's second in which that began
    buckets: int = 0  # that it has now
    seen_ms: int = 0  # when this was written
    judge: dict[str, Any] = {}
    verdict: dict[str, Any] = {}
    outcome: Outcome | None = None
    because: str = ""
    ended_ms: int | None = None

    @property
    def under_way(self) -> bool:
        """Not over yet."""
        return self.phase is not Phase.ENDED


def read(state: Path) -> Canary | None:
    """None: there has been none. ValueError for a file that is not ours."""
    path = state / FILE
    try:
        return msgspec.json.decode(path.read_bytes(), type=Canary)
    except FileNotFoundError:
        return None
    except msgspec.DecodeError as error:
        raise ValueError(f"{path}: not a canary ({error}); remove it") from None


def write(state: Path, canary: Canary, *, durable: bool) -> None:
    """Whole or not at all; `durable`: also if the machine crashes."""
    draft = state / f"{FILE}.new"
    with draft.open("wb") as file:
        file.write(msgspec.json.encode(canary))
        if durable:
            file.flush()
            os.fsync(file.fileno())
    draft.rename(state / FILE)
