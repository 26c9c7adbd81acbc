def value_hash(seed: int, dimension: int, value: bytes) -> int:
    """The 64-bit hash under which a book's index keeps a value: what compiles a book must use the one that reads it."""

class Probe:
    """Part of `bidder._fast.book.Matcher`; it has no face of its own."""
