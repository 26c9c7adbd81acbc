"""Dialects: what each exchange that we know wants otherwise, one short file each; docs/exchanges.md shows how."""

from bidder.openrtb.exchanges.dialect import Dialect
from bidder.openrtb.exchanges.shipped import DIALECTS, KEYS

__all__ = ["DIALECTS", "KEYS", "Dialect"]
