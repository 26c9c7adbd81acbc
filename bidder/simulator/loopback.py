"""Where the simulator may go: this machine, over plain http, and nowhere else.

address_of(url) -> Address | None; None is "not ours to contact", for a bid URL and for whatever stands in markup.
"""

import ipaddress
import re
from functools import lru_cache
from typing import NamedTuple

_URL = re.compile(r"http://([A-Za-z0-9.-]+|\[[0-9A-Fa-f:.]+\])(?::([0-9]{1,5}))?((?:[/?][!-~]*)?)", re.ASCII)


class Address(NamedTuple):
    """A door on this machine, and the path and query behind it."""

    host: str
    port: int
    target: str


@lru_cache(maxsize=256)
def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def address_of(url: str) -> Address | None:
    """What to connect to for `url`, without its fragment; None where that is not this machine."""
    found = _URL.fullmatch(url.partition("#")[0])
    if found is None:
        return None
    host = found[1].strip("[]").lower()
    host = "127.0.0.1" if host == "localhost" else host  # by name a hosts file could send us anywhere
    port = int(found[2]) if found[2] else 80
    if not _is_loopback(host) or not 0 < port < 65_536:
        return None
    target = found[3] or "/"
    return Address(host, port, target if target.startswith("/") else f"/{target}")
