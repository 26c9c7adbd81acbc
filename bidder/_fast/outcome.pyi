"""Reasons as compiled code knows them; `bidder.outcome.Reason` is their face."""

def rank(reason: int) -> int:
    """As Reason.rank."""
