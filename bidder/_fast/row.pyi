"""Manual of the rows: what `bidder._fast.decision` is told of each exchange, as `bidder.openrtb.rows` makes it."""

from typing import Protocol

class ExchangeRow(Protocol):
    """One exchange in plain numbers and prebuilt bytes."""

    @property
    def name(self) -> bytes:
        """The path behind /bid/."""
    @property
    def key(self) -> int:
        """1 to 63, each once."""
    @property
    def seat(self) -> bytes: ...
    @property
    def opening(self) -> bytes:
        """Of an answer, from behind its id to its first bid; its currency, USD, stands at byte 9."""
    @property
    def notices(self) -> tuple[bytes, ...]:
        """Text before, between and behind the tokens of its notices, as JSON: one to four."""
    @property
    def pixel_price(self) -> bytes: ...
    @property
    def response_bytes(self) -> int: ...
    @property
    def gives_nbr(self) -> bool: ...
    @property
    def gzip(self) -> bool: ...
    @property
    def secret(self) -> bytes:
        """Empty: none is asked for."""
    @property
    def secret_field(self) -> bytes:
        """Name of the field that carries it, in lower case; empty: it follows the name in the path."""
    @property
    def networks(self) -> tuple[str, ...]: ...
    @property
    def rate_per_s(self) -> int: ...
    @property
    def wait_budget_ms(self) -> int:
        """A request that has waited longer is not served."""

class Rows:
    """Filled by the decision; nothing of it is for Python."""
