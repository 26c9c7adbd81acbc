"""A book file as it is written: rows of packed structs, one list a section, and a blob.

The layout is `bidder/_fast/book_layout.pxd` (and `book.pxd` for what the auction reads);
a book whose items have other sizes than those structs does not open, so the two cannot
drift apart unseen. Numbers of sections and dimensions are theirs too.
"""

import os
import struct
import tempfile
import zlib
from enum import IntEnum
from pathlib import Path

MAGIC = b"OUTBIDBK"
VERSION = 1
ALIGN = 64
BLOCK = 512  # campaigns that are matched at once; a bitmap has whole blocks
NO_BITMAP = 0xFFFFFFFF


class Section(IntEnum):
    CAMPAIGNS = 0
    CREATIVES = 1
    STRINGS = 2
    PIECES = 3
    FREQUENCIES = 4
    FILTERS = 5
    POINTS = 6
    MULTIPLIERS = 7
    WHENS = 8
    VALUE_IDS = 9
    DIMENSIONS = 10
    VALUES = 11
    INDEX = 12
    BITMAPS = 13
    SLOTS = 14
    ZONES = 15
    EXCHANGES = 16
    LANDINGS = 17
    IDS = 18
    BLOB = 19


class Dimension(IntEnum):
    EXCHANGE = 0
    COUNTRY = 1
    REGION = 2
    CITY = 3
    METRO = 4
    ZIP = 5
    OS = 6
    DEVICE_TYPE = 7
    MAKE = 8
    MODEL = 9
    CARRIER = 10
    CONNECTION_TYPE = 11
    LANGUAGE = 12
    INVENTORY = 13
    BUNDLE = 14
    DOMAIN = 15
    PUBLISHER = 16
    CAT = 17
    GENDER = 18
    SEGMENT = 19
    USER_ID = 20
    DEAL = 21  # from here on: of the imp
    FORMAT = 22
    SIZE = 23


ROW = {
    Section.CAMPAIGNS: struct.Struct("<IIqqqqIIIIIIQ"),
    Section.CREATIVES: struct.Struct("<IIBBHii4xQQQIIIIIIII"),
    Section.STRINGS: struct.Struct("<QI4x"),
    Section.PIECES: struct.Struct("<IIQ"),
    Section.FREQUENCIES: struct.Struct("<III4x"),
    Section.FILTERS: struct.Struct("<I4xQQQ8I8IiiIIIIII"),
    Section.POINTS: struct.Struct("<ddd"),
    Section.MULTIPLIERS: struct.Struct("<III"),
    Section.WHENS: struct.Struct("<II"),
    Section.VALUE_IDS: struct.Struct("<I"),
    Section.DIMENSIONS: struct.Struct("<II"),
    Section.VALUES: struct.Struct("<QQIIIIIIII"),
    Section.INDEX: struct.Struct("<Q"),
    Section.BITMAPS: struct.Struct("<Q"),
    Section.SLOTS: struct.Struct("<I"),
    Section.ZONES: struct.Struct("<QII"),
    Section.EXCHANGES: struct.Struct("<QII"),
    Section.LANDINGS: struct.Struct("<QII"),
    Section.IDS: struct.Struct("<QII"),
    Section.BLOB: struct.Struct("<B"),
}
HEADER = struct.Struct("<8sIIQQQII")
ENTRY = struct.Struct("<QQI4x")
_CHECKED_FROM = 16  # the checksum covers the file from this byte on


class BookWriter:
    """Collects rows; `write` makes the file."""

    def __init__(self) -> None:
        self.rows = {section: bytearray() for section in Section}
        self._texts: dict[bytes, int] = {}

    def count(self, section: Section) -> int:
        return len(self.rows[section]) // ROW[section].size

    def add(self, section: Section, *fields: int | float) -> int:
        """One more row; its number."""
        number = self.count(section)
        self.rows[section] += ROW[section].pack(*fields)
        return number

    def text(self, value: bytes) -> int:
        """Where the bytes stand in the blob; the same bytes stand there once."""
        at = self._texts.get(value)
        if at is None:
            blob = self.rows[Section.BLOB]
            at = self._texts[value] = len(blob)
            blob += value
        return at

    def string(self, value: str) -> int:
        """One more entry of STRINGS."""
        raw = value.encode()
        return self.add(Section.STRINGS, self.text(raw), len(raw))

    def named(self, section: Section, key: int, value: str) -> int:
        raw = value.encode()
        return self.add(section, self.text(raw), len(raw), key)

    def write(self, path: Path, *, revision: int, seed: int, words: int) -> int:
        """The whole file, on disk before its name appears; its length in bytes."""
        at = HEADER.size + ENTRY.size * len(Section)
        table, body = bytearray(), bytearray()
        for section in Section:
            gap = -at % ALIGN
            rows = self.rows[section]
            table += ENTRY.pack(at + gap, self.count(section), ROW[section].size)
            body += bytes(gap)
            body += rows
            at += gap + len(rows)
        rest = HEADER.pack(MAGIC, 0, VERSION, at, revision, seed, len(Section), words)[_CHECKED_FROM:] + table + body
        head = MAGIC + struct.pack("<II", zlib.crc32(rest), VERSION)
        path.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=path.parent, prefix=path.name + ".", suffix=".tmp", delete=False) as file:
            try:
                file.write(head)
                file.write(rest)
                file.flush()
                os.fsync(file.fileno())
                Path(file.name).rename(path)
            except BaseException:
                Path(file.name).unlink(missing_ok=True)
                raise
        sync_directory(path.parent)
        return at


def sync_directory(directory: Path) -> None:
    """Makes the names in a directory as durable as what they name."""
    fd = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
