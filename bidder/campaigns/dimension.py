"""The dimensions of targeting that a book has an index for; `bidder/_fast/book_layout.pxd` has the same numbers."""

from enum import IntEnum


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
    VENUE_TYPE = 21
    DOOH = 22
    DEAL = 23  # from here on: of the imp
    FORMAT = 24
    SIZE = 25
    SECURE = 26
