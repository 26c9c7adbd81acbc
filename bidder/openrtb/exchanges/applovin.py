"""AppLovin (support.axon.ai, "AppLovin oRTB specification").

An answer has 4 kB at most; no bid is a 204. nurl, burl and lurl are called, with ${AUCTION_PRICE} plain, of six
decimals at most. Compression is required, of requests and of answers. Markup must be in the bid.
"""

from bidder.openrtb.exchanges.dialect import Dialect

KEY = 9
DIALECT = Dialect(response_bytes=4_096, gzip=True, min_to_win_macro="")
