"""PubMatic (community.pubmatic.com, DOC-1753, DOC-1980).

100 ms with the connection's own time in it, and `tmax` is left out to save bytes: what we may take is less. A bid
without adomain, cid, crid and seat is none there; ours have all four.
"""

from bidder.openrtb.exchanges.dialect import Dialect

KEY = 3
DIALECT = Dialect(tmax_ms=75)
