"""The file of exchange rates as the controller follows it: what holds now, and a word in the log where nothing does."""

from datetime import datetime
from pathlib import Path

from bidder.campaigns.rates import Rates, RatesError, read_rates
from bidder.ops.log import Log
from bidder.settings import Currency

REMIND_S = 3_600.0  # a fault that stays is said again


class RateFile:
    """Read when it changes, and looked at each time for its age. A file that cannot be read leaves the rates of before,
    as long as these are not too old."""

    def __init__(self, state: Path, settings: Currency, log: Log) -> None:
        self._path = state / settings.rates if settings.rates else None
        self._max_age_days = settings.max_age_days
        self._log = log
        self._seen: tuple[int, int, int] | None = None
        self._rates: Rates | None = None
        self._complaint = ""
        self._complained_s = 0.0

    def current(self, now: datetime) -> Rates | None:
        """The rates to publish; None: no floor in another currency than USD can be met."""
        if self._path is None:
            return None
        try:
            status = self._path.stat()
            seen = (status.st_ino, status.st_mtime_ns, status.st_size)
            if seen != self._seen or self._rates is None:
                rates = read_rates(self._path, now, self._max_age_days)
                self._seen = seen
                if rates != self._rates:
                    self._log.info("exchange rates read", date=rates.date, currencies=len(rates.per_usd))
                self._rates = rates
                self._complaint = ""
        except (RatesError, OSError) as error:
            self._complain(str(error), now)
        if self._rates is not None and now.timestamp() >= self._rates.until_s:
            self._complain(
                f"{self._path}: the rates of {self._rates.date} are older than {self._max_age_days} days", now
            )
            self._rates = None
        return self._rates

    def _complain(self, error: str, now: datetime) -> None:
        if error != self._complaint or now.timestamp() - self._complained_s >= REMIND_S:
            self._complaint, self._complained_s = error, now.timestamp()
            self._log.error(
                "exchange rates refused; floors in other currencies are not bid on without them", error=error
            )
