"""Switches: off for all, one exchange or one campaign; in a second, and across restarts.

A file in the state directory is the truth; the board and the purses carry it to the workers.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from bidder._fast.board import Board
from bidder._fast.purses import Purses


class SwitchError(ValueError):
    """There is no such thing to switch; the message says what."""


@dataclass(slots=True)
class Switches:
    """What is off. Exchanges by name, campaigns by key."""

    everything: bool = False
    exchanges: set[str] = field(default_factory=set)
    campaigns: set[int] = field(default_factory=set)

    def as_dict(self) -> dict[str, Any]:
        """For the file and for status."""
        return {
            "everything": self.everything,
            "exchanges": sorted(self.exchanges),
            "campaigns": sorted(self.campaigns),
        }

    def flip(self, off: bool, exchange: str | None, campaign: int | None) -> None:
        """One switch; without exchange and campaign, the one for everything."""
        if exchange is not None:
            (self.exchanges.add if off else self.exchanges.discard)(exchange)
        if campaign is not None:
            (self.campaigns.add if off else self.campaigns.discard)(campaign)
        if exchange is None and campaign is None:
            self.everything = off

    def apply(self, board: Board, purses: Purses, exchanges: Mapping[str, int]) -> None:
        """Let every worker see it, now."""
        board.off = self.everything
        for name, key in exchanges.items():
            board.set_exchange_off(key, name in self.exchanges)
        purses.switch_off(self.campaigns)


class SwitchFile:
    """`switches.json` of one host."""

    def __init__(self, state: Path) -> None:
        self._path = state / "switches.json"

    def read(self) -> Switches:
        """What was switched off before; SwitchError for a file that is not ours."""
        try:
            document = json.loads(self._path.read_text(encoding="utf-8"))
            return Switches(
                everything=bool(document["everything"]),
                exchanges=set(document["exchanges"]),
                campaigns=set(document["campaigns"]),
            )
        except FileNotFoundError:
            return Switches()
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise SwitchError(f"{self._path}: not a file of switches ({error}); remove or mend it") from None

    def write(self, switches: Switches) -> None:
        """Keep it across restarts."""
        temporary = self._path.with_suffix(".tmp")
        temporary.write_text(json.dumps(switches.as_dict()), encoding="utf-8")
        temporary.rename(self._path)
