"""TC strings as consent platforms write them: most people agree to everything, some to a part of it.

Written here anew, apart from the bidder that reads them: an exchange and a bidder share the standard, not code.
"""

import random

ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
VENDORS = 1_200  # as long as the Global Vendor List is, nearly
EVERYTHING = 0b1111_1111_1110_0000_0000_0000  # purposes 1 to 11
CREATED_S = (1_772_323_200, 1_788_220_800)  # March to August 2026


def _base64url(bits: str) -> str:
    bits += "0" * (-len(bits) % 8)  # whole bytes, as encoders leave them
    bits += "0" * (-len(bits) % 6)
    return "".join(ALPHABET[int(bits[n : n + 6], 2)] for n in range(0, len(bits), 6))


def _vendors(ranges: list[tuple[int, int]]) -> str:
    return f"{VENDORS:016b}1{len(ranges):012b}" + "".join(f"1{first:016b}{last:016b}" for first, last in ranges)


def tc_string(dice: random.Random) -> str:
    """Of TCF 2.3: purposes, vendors by ranges, all of them disclosed."""
    agrees = dice.random() < 0.8
    purposes = EVERYTHING if agrees else EVERYTHING & dice.getrandbits(24)
    gap = dice.randrange(2, VENDORS - 1)
    vendors = [(1, VENDORS)] if agrees else [(1, gap - 1), (gap + 1, VENDORS)]
    moment = f"{dice.randrange(*CREATED_S) * 10:036b}"
    made_by = f"{dice.randrange(2, 500):012b}{1:012b}{1:06b}{4:06b}{13:06b}{150:012b}{5:06b}10"  # …, EN, list, policy
    core = f"{2:06b}" + moment + moment + made_by + f"{int(agrees) << 11:012b}" + f"{purposes:024b}" * 2
    core += "0" + f"{3:06b}{4:06b}" + _vendors(vendors) + _vendors(vendors) + f"{0:012b}"
    return f"{_base64url(core)}.{_base64url('001' + _vendors([(1, VENDORS)]))}"
