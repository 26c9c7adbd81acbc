"""Keyed hashes of users under the keys of one period."""

class Identity:
    def __init__(self, keys: bytes | None = None) -> None:
        """ValueError where `keys` has not 64 bytes. Without keys it is good for nothing yet."""
    def digest(self, origin: int, exchange: int, id: bytes) -> int:
        """64 bits of a user, never 0. `origin`: USER_IFA, USER_BUYERUID or USER_ID; `exchange`: its key for USER_ID,
        whose ids mean something to that exchange only, else 0. Ids are taken byte for byte."""
    def key(self, digest: int, subject: int, rule: int) -> int:
        """64 bits of what is counted of a user, never 0: of a campaign or creative, under a rule."""
