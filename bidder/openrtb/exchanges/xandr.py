"""Xandr (learn.microsoft.com/xandr, "Incoming bid response from bidder", OpenRTB 2.4).

200 for bids, 204 for none. One request is outstanding on a connection; what queues behind it is given up at the time
limit of about 100 ms. Several bids in one answer are welcome. Creatives are reviewed: `approval` of the campaigns.
"""

from bidder.openrtb.exchanges.dialect import Dialect

KEY = 4
DIALECT = Dialect(min_to_win_macro="")  # of OpenRTB 2.6
