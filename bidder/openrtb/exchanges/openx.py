"""OpenX (docs.openx.com, "Bidding optimizations", "Win notifications").

Answers may come compressed: that takes 30 to 40 % off the line and costs our processor, so it is a choice of the
settings. A loss URL of more than 500 characters is dropped. Prices of notices are plain; inside markup they are
encrypted: `price = "google"`, `price_macro = "${AUCTION_PRICE:OXCRYPT}"`, `price_unit_nano = 1000` (millionths of one
impression's price), for whoever books on the impression.
"""

from bidder.openrtb.exchanges.dialect import Dialect

KEY = 2
DIALECT = Dialect()
