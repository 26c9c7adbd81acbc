class Probe:
    """Part of `bidder._fast.book.Matcher`; it has no face of its own."""
