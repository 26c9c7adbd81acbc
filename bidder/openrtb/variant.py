"""What a creative is once its markup is made: the interface between markup and book.

creative -> markup.variants() -> [Variant] -> entry -> CreativeRec, one for each

A banner has one variant; a video has one for each VAST version that it can be said in, so that a player that
knows old versions only is answered too. All variants of a creative share its key, hence its counters and caps.
"""

from dataclasses import dataclass
from enum import IntEnum, IntFlag


class Piece(IntEnum):
    """What the writer puts in this place; `_fast/book.pxd` has the same numbers."""

    TEXT = 0
    BID_ID = 1
    IMP_ID = 2
    PRICE = 3
    PAGE_TOKEN = 5
    DEAL = 6
    ASSETS = 7  # of a native: those that the request asks for, between them commas
    NATIVE_VER = 8  # the version that a native answer speaks, as the request's: 1.0, 1.1 or 1.2
    WRAPPED_TEXT = 9  # as TEXT, only where the request had its native object inside one more, under "native" (1.0)
    EVENTS_TEXT = 10  # as TEXT, only where the request's eventtrackers offer event 1 (impression) by method 1 (image)
    NO_EVENTS_TEXT = 11  # as TEXT, only where they do not
    NOTICES = 12  # what the exchange's row has: nurl, burl, lurl
    PIXEL_PRICE = 13  # behind the page token of an impression's URL, where the exchange pays by that
    VIEWABLE = 14  # in eventtrackers: its text, page token and end, only where event 2 (in view) is offered too
    FOLLOW_TEXT = 15  # as TEXT, and the next as PAGE_TOKEN, only where answers may have any size
    FOLLOW_TOKEN = 16


@dataclass(frozen=True, slots=True)
class When:
    """Text that is written for some requests only: a piece of this kind."""

    kind: Piece
    text: str


class CreativeFlag(IntFlag):
    """What blocks of a request look at; `_fast/book.pxd` has the same numbers."""

    NONE = 0
    SCRIPT = 1
    IFRAME = 2
    SECURE = 4


class AssetKind(IntEnum):
    """What an asset of a native ad is; `_fast/book.pxd` has the same numbers. Data assets: DATA + their type."""

    TITLE = 1
    ICON = 2  # image type 1
    MAIN = 3  # image type 3
    DATA = 100


@dataclass(frozen=True, slots=True)
class Asset:
    """One asset that a native creative has. Of several of one kind the first that fits is taken."""

    kind: int
    text: bytes  # follows the id in its object: begins with a comma, ends before the brace; escaped for the adm string
    length: int = 0  # characters of a title or a data asset
    w: int = 0  # pixels of an image; 0: not known, which fits no request that names a size
    h: int = 0
    mime: str = ""  # of an image; "": not known, which fits no request that lists any


@dataclass(frozen=True, slots=True)
class File:
    """One media file, of which a player takes the one that suits it."""

    mime: str
    kbps: int = 0  # 0: not known
    delivery: int = 2  # 1 streaming, 2 progressive


@dataclass(frozen=True, slots=True)
class Variant:
    """One way of saying a creative: what the auction checks of it, and its bid as pieces."""

    pieces: list[tuple[int, bytes]]
    flags: int
    format: int  # bid.mtype: 1 banner, 2 video, 3 audio, 4 native
    w: int = 0  # 0: absent
    h: int = 0
    protocol: int = 0  # AdCOM creative subtype: 2 VAST 2.0, 3 VAST 3.0, 7 VAST 4.0, 11 VAST 4.1, 13 VAST 4.2
    duration_s: int = 0
    files: tuple[File, ...] = ()
    skippable: bool = False
    skip_after_s: int = 0
    linear: bool = True
    assets: tuple[Asset, ...] = ()
    attr: tuple[int, ...] = ()  # those of the creative, and 16 where it can be skipped
    api: tuple[int, ...] = ()  # those of the creative, and what its markup cannot do without: MRAID, VPAID
    expdir: tuple[int, ...] = ()  # of an expandable banner: it expands to all of these; (): nothing to check
