"""Parcels: many records in one, for streams that are paid and limited by the record.

pack(records) -> bytes -> unpack() -> payloads
Head: magic "OBN1", codec u8 (0 as it is, 1 zlib), 3 bytes of zeros, length u32 LE and CRC-32 u32 LE of the body as it
was before compression. Body: records as a segment of the spool has them, so that both say the same in the same bytes.
"""

import struct
import zlib
from collections.abc import Sequence

from bidder.events.segments import records
from bidder.events.stream import StreamError

MAGIC = b"OBN1"
PLAIN, ZLIB = 0, 1
HEAD = struct.Struct("<4sB3xII")
LEVEL = 1  # of zlib: 6 takes three times as long and saves a few per cent more
MAX_BODY = 1 << 20  # what claims to be longer is no parcel of ours
EMPTY = HEAD.pack(MAGIC, PLAIN, 0, 0)  # says only that it was read


class ParcelError(StreamError):
    """These bytes are no parcel, or not as they were packed; the message says what is wrong."""


def pack(parts: Sequence[bytes]) -> bytes:
    """`parts`: records with their heads (`segments.record`), in order, at most MAX_BODY bytes in all."""
    body = b"".join(parts)
    if not 0 < len(body) <= MAX_BODY:
        raise ValueError(f"a parcel of {len(body)} bytes; 1 to {MAX_BODY} are allowed")
    small = zlib.compress(body, LEVEL)
    codec, stored = (ZLIB, small) if len(small) < len(body) else (PLAIN, body)
    return HEAD.pack(MAGIC, codec, len(body), zlib.crc32(body)) + stored


def unpack(data: bytes) -> list[bytes]:
    """The payloads, in order; all or none."""
    if len(data) < HEAD.size:
        raise ParcelError(f"{len(data)} bytes are no parcel")
    if data == EMPTY:
        return []
    magic, codec, length, crc = HEAD.unpack_from(data)
    if magic != MAGIC or codec not in (PLAIN, ZLIB) or not 0 < length <= MAX_BODY:
        raise ParcelError(f"no parcel of this build: it begins {data[: HEAD.size].hex()}")
    body = data[HEAD.size :]
    if codec == ZLIB:
        inflater = zlib.decompressobj()
        try:
            body = inflater.decompress(body, length + 1)
        except zlib.error as error:
            raise ParcelError(f"a parcel that cannot be inflated: {error}") from None
        if not inflater.eof or inflater.unused_data:
            raise ParcelError("a parcel with too few or too many bytes")
    if len(body) != length or zlib.crc32(body) != crc:
        raise ParcelError(f"a parcel of {len(body)} bytes that is not as it was packed (it had {length})")
    found = list(records(body))
    if not found or found[-1][0] != length:
        raise ParcelError("a parcel whose records are not whole")
    return [payload for _, payload in found]
