"""The book, opened: one mapped file, and what changes with the hour for all who match in it."""

from cpython.buffer cimport PyBUF_SIMPLE, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport int64_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcmp

import mmap
import os
from datetime import UTC, datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from bidder._fast.book_check cimport check_book
from bidder._fast.book_classes cimport CLASSES, Class
from bidder._fast.book_layout cimport *
from bidder._fast.book_questions cimport known_free, known_new
from bidder._fast.currency cimport write_currency

from bidder._fast.book_check import BookError


cdef class Book:
    def __init__(self):
        raise TypeError("Book.open(path) opens one")

    @staticmethod
    def open(path, *, bint checked=False):
        cdef Book book = Book.__new__(Book)
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise BookError(f"{path}: {error.strerror}") from None
        try:
            book._map = mmap.mmap(fd, 0, flags=mmap.MAP_SHARED, prot=mmap.PROT_READ)
        except (OSError, ValueError) as error:
            raise BookError(f"{path}: cannot be mapped: {error}") from None
        finally:
            os.close(fd)
        PyObject_GetBuffer(book._map, &book.view, PyBUF_SIMPLE)
        book.base = <const char*>book.view.buf
        book.length = book.view.len
        try:
            check_book(book.base, book.length, not checked)
        except BookError as error:
            raise BookError(f"{path}: {error}") from None
        book.revision = (<const Header*>book.base).revision
        book.slot_count = book.count(S_CAMPAIGNS)
        book.campaigns = <CampaignRec*>book.section(S_CAMPAIGNS)
        book.creatives = <CreativeRec*>book.section(S_CREATIVES)
        book.strings = <StrRef*>book.section(S_STRINGS)
        book.pieces = <Piece*>book.section(S_PIECES)
        book.frequencies = <FrequencyRec*>book.section(S_FREQUENCIES)
        book.rates = <RateRec*>book.section(S_RATES)
        book.rate_count = <uint32_t>book.count(S_RATES)
        book.arms = <ArmRec*>book.section(S_ARMS)
        book.arm_count = <uint32_t>book.count(S_ARMS)
        book.media = <MediaRec*>book.section(S_MEDIA)
        book.files = <FileRec*>book.section(S_FILES)
        book.assets = <AssetRec*>book.section(S_ASSETS)
        book.blob = <const char*>book.section(S_BLOB)
        book.tell_zones()
        book.known = known_new(book.base)
        book.classes_room = calloc(CLASSES + 1, sizeof(Class))     # memory of its own only where one is used
        book.nobody = <const uint64_t*>calloc((<const Header*>book.base).words + 1, sizeof(uint64_t))
        if book.known == NULL or book.classes_room == NULL or book.nobody == NULL:
            raise MemoryError
        book.classes = <Class*>((<size_t>book.classes_room + 63) & ~<size_t>63)
        return book

    def __dealloc__(self):
        PyBuffer_Release(&self.view)
        free(self.zone_hour)
        known_free(self.known)
        free(self.classes_room)
        free(<void*>self.nobody)

    cdef int tell_zones(self) except -1:
        try:
            self.zone_infos = [ZoneInfo(name) for name in self.zones]
        except (OSError, ValueError, KeyError) as error:
            raise BookError(f"a campaign's time zone is unknown on this host: {error}") from None
        self.quarter = -1
        self.zone_hour = <uint32_t*>calloc(len(self.zone_infos) + 1, sizeof(uint32_t))
        if self.zone_hour == NULL:
            raise MemoryError
        return 0

    cdef void new_quarter(self, int64_t now_s) noexcept with gil:
        """Hours and years change at most here, in every zone, summer time included."""
        self.quarter = now_s // QUARTER_S
        self.year = datetime.fromtimestamp(now_s, UTC).year
        for number, zone in enumerate(self.zone_infos):
            local = datetime.fromtimestamp(now_s, zone)
            self.zone_hour[<Py_ssize_t>number] = local.weekday() * 24 + local.hour

    cdef const RateRec* rate_of(self, uint32_t currency, int64_t now_s) noexcept nogil:
        cdef uint32_t low = 0, high = self.rate_count, middle
        while low < high:
            middle = (low + high) // 2
            if self.rates[middle].currency < currency:
                low = middle + 1
            else:
                high = middle
        if low == self.rate_count or self.rates[low].currency != currency or now_s >= self.rates[low].until_s:
            return NULL
        return &self.rates[low]

    cdef const void* section(self, int number) noexcept nogil:
        return self.base + (<const Header*>self.base).table[number].at

    cdef uint64_t count(self, int number) noexcept nogil:
        return (<const Header*>self.base).table[number].count

    cdef object named(self, int number, uint32_t key):
        """Text under a key of a sorted section, or None."""
        cdef const Named* rows = <const Named*>self.section(number)
        cdef uint64_t low = 0, high = self.count(number), middle
        while low < high:
            middle = (low + high) // 2
            if rows[middle].key < key:
                low = middle + 1
            else:
                high = middle
        if low == self.count(number) or rows[low].key != key:
            return None
        return self.blob[rows[low].at:rows[low].at + rows[low].n].decode()

    def landing_url(self, creative_key):
        return self.named(S_LANDINGS, creative_key) if 0 <= creative_key < 2**32 else None

    def campaign_id(self, campaign_key):
        return self.named(S_IDS, campaign_key) if 0 <= campaign_key < 2**32 else None

    cdef dict keys_of(self, int number):
        cdef const Named* rows = <const Named*>self.section(number)
        cdef uint64_t i
        return {self.blob[rows[i].at:rows[i].at + rows[i].n].decode(): rows[i].key for i in range(self.count(number))}

    def campaign_key(self, str campaign not None):
        cdef const Named* rows = <const Named*>self.section(S_IDS)
        cdef bytes raw = campaign.encode()
        cdef const char* text = raw
        cdef uint64_t i, n = len(raw)
        for i in range(self.count(S_IDS)):
            if rows[i].n == n and memcmp(self.blob + rows[i].at, text, n) == 0:
                return rows[i].key
        return None

    def campaigns_of(self, advertisers):
        cdef uint32_t i, last = 0
        cdef bint wanted = False
        keys, found = frozenset(advertisers), set()
        for i in range(self.slot_count if keys else 0):
            if self.campaigns[i].advertiser != last:       # mostly many in a row would be asked for the same
                last = self.campaigns[i].advertiser
                wanted = last in keys
            if wanted:
                found.add(self.campaigns[i].key)
        return found

    @property
    def advertisers(self):
        return self.keys_of(S_ADVERTISERS)

    @property
    def exchanges(self):
        return self.keys_of(S_EXCHANGES)

    @property
    def arm_ranges(self):
        return [
            (self.arms[i].first, self.arms[i].end, self.arms[i].arm, self.arms[i].features_off)
            for i in range(self.arm_count)
        ]

    @property
    def rates_until_s(self):
        return min([self.rates[i].until_s for i in range(self.rate_count)], default=None)

    def rates_at(self, int64_t now_s):
        cdef const RateRec* rate
        cdef char[3] letters
        cdef uint32_t i
        found = {}
        for i in range(self.rate_count):
            rate = &self.rates[i]
            if now_s < rate.until_s:
                write_currency(letters, rate.currency)
                found[letters[:3].decode()] = Decimal(rate.over) / Decimal(rate.under)
        return found

    @property
    def campaign_count(self):
        cdef uint32_t i, count = 0
        for i in range(self.slot_count):
            count += not self.campaigns[i].extra & F_RAISED
        return count

    def purse_slots(self):
        cdef uint32_t i
        return {self.campaigns[i].key: self.campaigns[i].purse for i in range(self.slot_count)}

    @property
    def zones(self):
        cdef const Named* rows = <const Named*>self.section(S_ZONES)
        cdef uint64_t i
        return [self.blob[rows[i].at:rows[i].at + rows[i].n].decode() for i in range(self.count(S_ZONES))]
