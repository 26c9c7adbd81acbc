"""Index Exchange (kb.indexexchange.com, "Technical requirements checklist for DSPs", "Win notification macro").

A bid without ${AUCTION_PRICE} in `burl` or markup is rejected, so `burl` must stay. The price is plain, in dollars;
where a publisher wants it encrypted, it is Google's scheme: `price = "google"`. Usually less than 100 ms.
"""

from bidder.openrtb.exchanges.dialect import Dialect

KEY = 6
DIALECT = Dialect(tmax_ms=90)
