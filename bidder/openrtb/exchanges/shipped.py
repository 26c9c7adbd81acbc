"""The dialects that come along: every module beside this one that has a DIALECT and a KEY."""

import importlib
import pkgutil
from pathlib import Path

from bidder.openrtb.exchanges.dialect import Dialect

_MODULES = {
    found.name: importlib.import_module(f"{__package__}.{found.name}")
    for found in pkgutil.iter_modules([str(Path(__file__).parent)])
    if found.name not in ("dialect", "shipped")
}

DIALECTS: dict[str, Dialect] = {name: module.DIALECT for name, module in _MODULES.items()}
"""By name, which is the exchange's in the settings and in /bid/NAME."""
KEYS: dict[str, int] = {
    name: module.KEY for name, module in sorted(_MODULES.items(), key=lambda item: int(item[1].KEY))
}
"""Of the exchange: 1 to 63, in tokens and rollups, so never changed and never used again."""
