"""Odds: what part of its bids' prices a campaign pays in the end, and so how much of a price a bid must reserve.

Nothing of it is for Python: bidder._fast.wants.Wants.weigh works it out once a second, and the purse has the result.
"""
