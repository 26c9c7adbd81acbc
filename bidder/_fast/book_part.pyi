"""A part of a book: the rows of some campaigns, to be merged with others (bidder/_fast/book_merge.pyx)."""

class Part:
    """Filled, then turned into bytes once. What it is given has been checked (bidder/campaigns/entry.py)."""

    def add(self, entry: object) -> None:
        """A campaign that runs, with its creatives: `bidder.campaigns.entry.Entry`."""

    def name(self, key: int, identifier: str) -> None:
        """The id of a campaign, running or not."""

    def advertiser(self, key: int, identifier: str) -> None:
        """The id of an advertiser; once is enough."""

    def landing(self, creative: int, url: str) -> None:
        """The click target of a creative, running or not."""

    def leave_out(self, key: int, why: str) -> None:
        """A campaign that cannot be served."""

    def bytes(self) -> bytearray:
        """All of it, with a checksum."""
