"""Pacing: what share of its bids may an even lease place now?

Even: a plan grows in a line from five minutes' worth at the start of the hour to the whole amount. Up to the plan
every bid may go; above it the share of bids falls in a line and reaches none a minute's worth later.
"""

def throttle(amount: int, committed: int, into_ms: int, hour_ms: int) -> int:
    """Bid when a random 32-bit number is <= this. Money: nano-USD; `into_ms`: since the hour began, < 0 before it.

    ValueError for a negative amount, or an hour without length.
    """
