"""Case: one bid with everything that its rules look at. Made once, by bid.py; the rooms of rules only read it."""

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from bidder.openrtb.lint.loose import Json, table
from bidder.openrtb.lint.profile import Profile
from bidder.openrtb.lint.vast import Vast

MEDIA = {1: "banner", 2: "video", 3: "audio", 4: "native"}  # by mtype
Rates = Mapping[str, Decimal]
"""Currency -> what one USD is worth in it. USD itself need not be there."""


@dataclass(frozen=True, slots=True)
class Case:
    """`bid` holds fields of the right type only, `request` and `imp` whatever was sent."""

    request: Json
    imp: Json
    seat: str | None
    currency: str
    bid: dict[str, Any]
    path: str
    medium: str  # "" where nobody can tell
    vast: Vast | None  # of the markup of video and audio, where it is there and well formed
    duration_s: Decimal | None
    profile: Profile
    rates: Rates

    @property
    def slot(self) -> Json:
        """What the imp says of the medium."""
        return table(self.imp.get(self.medium))

    @property
    def adm(self) -> str:
        """The markup; "" where there is none."""
        found: str = self.bid.get("adm", "")
        return found

    @property
    def apis(self) -> set[int]:
        """That the bid says it uses."""
        single = {self.bid["api"]} if "api" in self.bid else set()
        return single | set(self.bid.get("apis", []))

    def at(self, field: str) -> str:
        """The path of a field of the bid."""
        return f"{self.path}.{field}"
