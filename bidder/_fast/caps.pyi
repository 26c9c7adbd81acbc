"""Caps of decisions, and what notices make of them."""

from bidder._fast.book import Book
from bidder._fast.frequency import FrequencyTable

class Caps:
    """Turns the user of a request into keys of the table, for one decision; it has no verbs for Python."""

    def __init__(self, table: FrequencyTable) -> None: ...

class Settler:
    """The tracker's side: what became of bids that were counted. Not for two threads at once.

    `user`, `stamp`, `minute` (UTC, since 1970), `format`, `campaign` and `creative` are the token's. Of one bid only
    the first impression may be told, and a loss only if nothing was told of it before. An answer names each rule:
    key of the window, its seconds, and whether it has now seen more impressions than it may.
    """

    def __init__(self, table: FrequencyTable) -> None: ...
    def set_book(self, book: Book) -> None:
        """Whose rules are asked from now on."""
    def knows(self, campaign: int) -> bool:
        """Has the book a campaign with caps under this key?"""
    def confirm(
        self, user: int, stamp: int, minute: int, format: int, campaign: int, creative: int, now_s: int
    ) -> list[tuple[int, int, bool]]:
        """An impression: its holds become impressions. Empty where the bid has no caps that are known here."""
    def release(
        self, user: int, stamp: int, minute: int, format: int, campaign: int, creative: int, now_s: int
    ) -> list[tuple[int, int, bool]]:
        """A loss: its holds are given back; named are those that were still there."""
    def learn(self, key: int, ends_s: int, impressions: int, now_s: int) -> None:
        """As FrequencyTable.learn."""
