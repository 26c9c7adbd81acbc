class BookError(ValueError):
    """The file is not a book that can be served; the message says why."""
