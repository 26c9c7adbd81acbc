"""Unity Exchange (docs.unity.com/grow/exchange/bid-responses).

200 ms; connections stay open for 90 s at least (ours for 160 s). It asks for compressed answers, and takes `nbr` as
well as 204.
"""

from bidder.openrtb.exchanges.dialect import Dialect

KEY = 8
DIALECT = Dialect(tmax_ms=200, gzip=True, min_to_win_macro="")
