"""xxHash, 32 bits: the specification's five steps, one number at a time (https://github.com/Cyan4973/xxHash, doc/)."""

P1, P2, P3, P4, P5 = 2654435761, 2246822519, 3266489917, 668265263, 374761393
WORD = 1 << 32


def rotate(x: int, by: int) -> int:
    return (x << by | x >> (32 - by)) % WORD


def xxh32(text: bytes) -> int:
    """With seed 0."""
    rest = text
    lanes = [(P1 + P2) % WORD, P2, 0, WORD - P1]
    while len(rest) >= 16:
        for i in range(4):
            word = int.from_bytes(rest[4 * i : 4 * i + 4], "little")
            lanes[i] = rotate((lanes[i] + word * P2) % WORD, 13) * P1 % WORD
        rest = rest[16:]
    h = P5 if len(text) < 16 else sum(rotate(lane, by) for lane, by in zip(lanes, (1, 7, 12, 18), strict=True))
    h = (h + len(text)) % WORD
    while len(rest) >= 4:
        h = rotate((h + int.from_bytes(rest[:4], "little") * P3) % WORD, 17) * P4 % WORD
        rest = rest[4:]
    for byte in rest:
        h = rotate((h + byte * P5) % WORD, 11) * P1 % WORD
    h = (h ^ h >> 15) * P2 % WORD
    h = (h ^ h >> 13) * P3 % WORD
    return h ^ h >> 16
