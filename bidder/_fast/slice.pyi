"""Manual of the slice: the hash by which a request has its arm, for whoever wants to know it beforehand."""

def hash32(text: bytes) -> int:
    """xxHash, 32 bits, seed 0 (https://github.com/Cyan4973/xxHash, doc/xxhash_spec.md)."""

def bucket(key: bytes) -> int:
    """0 to 9,999, of a device.ifa or a request id; see docs/releases.md "Arms"."""
