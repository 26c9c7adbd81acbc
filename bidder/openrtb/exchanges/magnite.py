"""Magnite, and exchanges of its kind. It publishes no rules for bidders: these are the standard's, and a short time."""

from bidder.openrtb.exchanges.dialect import Dialect

KEY = 7
DIALECT = Dialect(tmax_ms=80)
