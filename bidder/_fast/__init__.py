"""The compiled leaf: HTTP, OpenRTB, the index, the auction, purses, counters.

A missing or stale extension is an error with the line that builds it, never a slower twin.
"""
