"""Manual of the handlers that a listener asks for answers."""

from collections.abc import Callable, Mapping

from bidder._fast.admission import Admission

class BidHandler:
    """Answers bid requests; this base bids on nothing (204). Subclassed in compiled code only."""

    admission: Admission
    """Asked before a body is read; the listener tells it when reads begin and turns end."""

class PythonHandler(BidHandler):
    """A handler in Python, for tests and small tools. What raises is logged and answered 500."""

    def __init__(
        self,
        answer: Callable[[bytes, bytes], tuple[int, bytes]],
        *,
        admission: Admission | None = None,
        lanes: Mapping[bytes, int] | None = None,
    ) -> None:
        """`answer(exchange, body) -> (status, body)`; the body is written with status 200 only.

        With `lanes` (exchange -> lane) a request that its admission does not admit gets 204 unasked.
        """
