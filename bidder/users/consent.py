"""Consent as doors hear it: in the query, by the same code that decides for bid requests.

Names as exchanges and IAB write them: gdpr, gdpr_consent, us_privacy, gpp, gpp_sid (numbers, commas between); and the
browser's Sec-GPC.
"""

import json
from collections.abc import Callable, Iterable

from bidder._fast.request import Reader
from bidder.settings import Consent

PARAMETERS = ("gdpr", "gdpr_consent", "us_privacy", "gpp", "gpp_sid")
OK = 0


class ConsentGate:
    """Not for two threads at once."""

    def __init__(self, consent: Consent) -> None:
        self._reader = Reader(consent)

    def allows(self, wanted: Iterable[str], argument: Callable[[str], str | None], gpc: bool) -> bool:
        """Is all of `wanted` (names of docs/consent.md) allowed to a request that says this?"""
        regs: dict[str, object] = {"gpc": int(gpc)}
        for name in ("gdpr", "us_privacy", "gpp"):
            if argument(name) is not None:
                regs[name] = argument(name)
        sections = argument("gpp_sid")
        if sections is not None:
            regs["gpp_sid"] = [part.strip() for part in sections.split(",")]
        body = {"id": "-", "imp": [{"id": "-"}], "regs": regs, "user": {"consent": argument("gdpr_consent")}}
        if self._reader.parse(json.dumps(body).encode("utf-8", "replace")) != OK:
            return False
        return set(wanted) <= set(self._reader.view()["may"])
