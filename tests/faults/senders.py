"""A thread that tells an exchange's bills, whatever becomes of who is to take them."""

import threading

from bidder.money.tokens import Keys, Sealer


class Sender:
    """Tells until `end`; `acknowledged`: the numbers that were answered 204."""

    def __init__(self, keys: Keys) -> None:
        """The last that a subclass does: the thread begins here."""
        self.acknowledged: list[int] = []
        self._sealer = Sealer(keys)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def end(self) -> None:
        self._stop.set()
        self._thread.join(30)

    def _run(self) -> None:
        raise NotImplementedError
