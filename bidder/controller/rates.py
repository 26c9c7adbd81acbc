"""The file of exchange rates as the controller follows it: what holds now, and a word in the log where nothing does."""

from datetime import datetime
from pathlib import Path

from bidder.campaigns.rates import Rates, RatesError, read_rates
from bidder.ops.log import Log
from bidder.settings import Currency

REMIND_S = 3_600.0  # a fault that stays is said again


class RateFile:
    """Read when it changes; rates are looked at each time for their age. A file that cannot be read leaves those of
    before."""

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
        error = ""
        try:
            status = self._path.stat()
            seen = (status.st_ino, status.st_mtime_ns, status.st_size)
            if seen != self._seen:
                self._rates = read_rates(self._path, now, self._max_age_days)
                self._seen = seen
                self._log.info("exchange rates read", date=self._rates.date, currencies=len(self._rates.per_usd))
        except (RatesError, OSError) as refused:
            error = str(refused)
        rates = self._rates
        if rates is not None and now.timestamp() >= rates.until_s:
            error = f"the rates of {rates.date} are older than {self._max_age_days} days; {error or self._path}"
            rates = None
        if error:
            self._complain(error, now)
        return rates

    def _complain(self, error: str, now: datetime) -> None:
        if error != self._complaint or now.timestamp() - self._complained_s >= REMIND_S:
            self._complaint, self._complained_s = error, now.timestamp()
            self._log.error(
                "exchange rates refused; floors in other currencies are not bid on without them", error=error
            )
