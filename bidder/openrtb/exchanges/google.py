"""Google Authorized Buyers, its OpenRTB endpoint in JSON (developers.google.com/authorized-buyers/rtb).

The winning price comes encrypted, in millionths of a CPM: HMAC-SHA1, an encryption and an integrity key, 28 bytes in
web-safe base64 without padding. Without the keys (`price_keys`) such a price is flagged and books nothing. Deadlines
are in `tmax`, 80 to 1000 ms by format; above 15 % of bad or late answers Google sends less, so a 204 beats an error.
Creatives are reviewed: `approval` in the campaign format.
"""

from bidder.openrtb.exchanges.dialect import Dialect

KEY = 5
DIALECT = Dialect(tmax_ms=100, price="google", min_to_win_macro="")
