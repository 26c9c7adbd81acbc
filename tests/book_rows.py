"""The layout of a book file, written down a second time: for tests that read or damage one.

`bidder/_fast/book_layout.pxd` and `book.pxd` are what it must agree with.
"""

import struct
from enum import IntEnum


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
    SUMMARIES = 20
    MEDIA = 21
    ASSETS = 22
    FILES = 23
    RATES = 24
    ADVERTISERS = 25
    ARMS = 26


ROW = {
    Section.CAMPAIGNS: struct.Struct("<IIqqIIIIIIIIQ"),
    Section.CREATIVES: struct.Struct("<IIBBHiiIQQQIIIIIIII"),
    Section.STRINGS: struct.Struct("<QI4x"),
    Section.PIECES: struct.Struct("<IIQ"),
    Section.FREQUENCIES: struct.Struct("<III4x"),
    Section.FILTERS: struct.Struct("<I4xQQQ8I8IiiIIIIII"),
    Section.POINTS: struct.Struct("<ddd"),
    Section.MULTIPLIERS: struct.Struct("<III"),
    Section.WHENS: struct.Struct("<II"),
    Section.VALUE_IDS: struct.Struct("<I"),
    Section.DIMENSIONS: struct.Struct("<II"),
    Section.VALUES: struct.Struct("<QQIIIIIIII16s"),
    Section.INDEX: struct.Struct("<Q"),
    Section.BITMAPS: struct.Struct("<Q"),
    Section.SLOTS: struct.Struct("<I"),
    Section.ZONES: struct.Struct("<QII"),
    Section.EXCHANGES: struct.Struct("<QII"),
    Section.LANDINGS: struct.Struct("<QII"),
    Section.IDS: struct.Struct("<QII"),
    Section.BLOB: struct.Struct("<B"),
    Section.SUMMARIES: struct.Struct("<Q"),
    Section.MEDIA: struct.Struct("<BBBBIIIIII"),
    Section.ASSETS: struct.Struct("<QIIIiiI"),
    Section.FILES: struct.Struct("<III"),
    Section.RATES: struct.Struct("<IIqQQ"),
}
HEADER = struct.Struct("<8sIIQQQII")
ENTRY = struct.Struct("<QQI4x")
