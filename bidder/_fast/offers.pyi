"""Manual of offers: what an answer says; the compiled path reads it in place."""

def offers(text: bytes) -> list[tuple[bytes, bytes, int]] | None:
    """(impid, cid, nano for one impression) of every bid; None: it is no JSON, or a bid has no imp or price."""

def compare(ours: bytes, theirs: bytes) -> int:
    """A `bidder.events.schema.Shadow`. ValueError where one of the answers cannot be read."""
