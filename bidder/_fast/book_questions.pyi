"""Manual of what a request asks the index of a book: nothing that Python calls."""

class Asker:
    """Below `Matcher`, by way of its `Probe`."""
