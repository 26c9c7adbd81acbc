"""Whom this host has asked the store for; see FrequencyTable, where the marks lie."""

from bidder._fast.frequency import FrequencyTable

class Acquaintances:
    """Digests are those of `Identity`. Times: unix seconds."""

    def __init__(self, table: FrequencyTable) -> None: ...
    def take(self, most: int = 1024) -> list[tuple[int, int]]:
        """Users to be asked for now, as pairs of digests: of this period, and of the one before (0: none).
        For the supervisor alone. At most 1,024 wait; older ones are dropped and counted."""
    def ask(self, digest: int, before: int = 0) -> None:
        """Have this user asked for soon, known or not."""
    def meet(self, digest: int, before: int, now_s: int) -> bool:
        """As a request does: is this user known? If not, or not lately, it is asked for."""
    def met(self, digest: int, now_s: int, fresh_s: int, good_s: int) -> None:
        """The store has answered, be it with nothing: after `fresh_s` a request asks again, and is served with what we
        know until `good_s` are over."""
    def knows(self, digest: int, now_s: int) -> bool: ...
