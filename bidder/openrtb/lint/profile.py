"""Profile: what the linter must know of the exchange that asked. Plain data; the defaults are the standard's."""

from dataclasses import dataclass

STANDARD_MACROS = frozenset(
    f"AUCTION_{name}"
    for name in (
        *("ID", "BID_ID", "IMP_ID", "SEAT_ID", "AD_ID", "PRICE", "CURRENCY", "MBR", "LOSS", "MIN_TO_WIN", "MULTIPLIER"),
        *("IMP_TS", "DISCOUNT_PCT", "DISCOUNT_CPM"),
    )
)


@dataclass(frozen=True, slots=True)
class Profile:
    """One exchange. Nothing is required of a bid by a field that is None or empty."""

    name: str = "generic"
    tmax_ms: int | None = None  # where the request names none
    seats: frozenset[str] = frozenset()  # those that the exchange knows us by
    max_response_bytes: int | None = None
    max_notice_chars: int | None = None  # of each of nurl, burl, lurl
    price_decimals: int = 6
    adm_required: bool = False
    macros: frozenset[str] = STANDARD_MACROS  # names in ${...} that are filled
    price_macros: tuple[str, ...] = ("${AUCTION_PRICE",)  # how one of them begins where a price is asked for


GENERIC = Profile()
