"""Any exchange that keeps to OpenRTB 2.5 or 2.6."""

from bidder.openrtb.exchanges.dialect import Dialect

KEY = 1
DIALECT = Dialect()
