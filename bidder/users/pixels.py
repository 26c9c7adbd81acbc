"""Pixels that advertisers put on their pages: who made them, and which segment a visit sets, are signed.

    outbid segment pixel ACME s-shoes -> /visit/ACME/s-shoes?sig=... -> signed() here
Without a signature anybody could put users into anybody's segments.
"""

import hmac
import re

SEGMENT = re.compile(r"s-[A-Za-z0-9_-]{1,14}", re.ASCII)  # 16 characters, what a host's table holds
OWNER = re.compile(r"[A-Za-z0-9._-]{1,64}", re.ASCII)
SIGNATURE_CHARS = 32


def signature(secret: bytes, owner: str, segment: str) -> str:
    """Of a pixel, 32 hex digits; `secret` is that of `keys/user.keys`."""
    return hmac.digest(secret, f"outbid pixel {owner} {segment}".encode(), "sha256").hex()[:SIGNATURE_CHARS]


def signed(secret: bytes, owner: str, segment: str, claimed: str) -> bool:
    """Is this pixel ours? Takes as long whatever the answer is."""
    there = claimed if claimed.isascii() else ""
    return hmac.compare_digest(signature(secret, owner, segment), there)
