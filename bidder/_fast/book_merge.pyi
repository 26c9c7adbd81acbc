"""Parts -> book. Linear but for sorting campaigns and names; one book a merger."""

from collections.abc import Callable, Collection, Mapping, Sequence

from typing_extensions import Buffer

class Merger:
    def __init__(self, parts: Sequence[Buffer], seed: int) -> None:
        """Parts as `bidder._fast.book_part.Part.bytes` gave them; ValueError where one is damaged."""

    def facts(self) -> tuple[int, int, int, list[str]]:
        """(campaigns, creatives, values, why records were left out)."""

    def header(self, exchanges: Collection[str], rates: bytes, arms: bytes, revision: int) -> tuple[bytes, int]:
        """(what the file begins with, its length in bytes). `rates`: RateRec by currency, `arms`: ArmRec by bucket."""

    def write(
        self,
        out: Buffer,
        header: bytes,
        exchanges: Mapping[str, int],
        rates: bytes,
        arms: bytes,
        purse_of: Callable[[int], int],
    ) -> None:
        """The whole book into zeroed memory of that length; `purse_of` is asked for each campaign, dearest first."""
