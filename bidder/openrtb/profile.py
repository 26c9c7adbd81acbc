"""Profile: an exchange of the settings as the linter takes it."""

from bidder.openrtb.lint import Profile
from bidder.settings import Exchange


def profile_of(name: str, exchange: Exchange) -> Profile:
    """What this one asks beyond the standard."""
    return Profile(
        name=name,
        seats=frozenset({exchange.seat}),
        tmax_ms=exchange.tmax_ms,
        max_response_bytes=exchange.response_bytes or None,
        max_notice_chars=exchange.notice_url_chars,
        price_macros=(exchange.price_macro.removesuffix("}"),),
    )
