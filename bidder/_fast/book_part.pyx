"""Entries of campaigns -> the rows of a part (book_part.pxd).

    Part() -> add(entry) for each campaign that runs, name() for each that there is -> bytes()

What can be wrong with a record has shown before, in bidder/campaigns/entry.py: `add` only writes down.
The same bytes stand in the blob of a part once, however many creatives say them.
"""

from libc.stdint cimport int64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy, memset

import zlib

from bidder._fast.book cimport (
    AssetRec, CampaignRec, CreativeRec, FileRec, FrequencyRec, MediaRec, Piece, LAST_PIECE, StrRef,
)
from bidder._fast.book_layout cimport *

cdef size_t[22] ITEMS = [
    sizeof(CampaignRec), sizeof(Aim), sizeof(CreativeRec), sizeof(StrRef), sizeof(Piece), sizeof(FrequencyRec),
    sizeof(Filter), sizeof(Point), sizeof(Multiplier), sizeof(When), 4, sizeof(PartValue), 4, sizeof(Named),
    sizeof(Named), sizeof(Named), sizeof(Named), 1, sizeof(MediaRec), sizeof(AssetRec),
    sizeof(FileRec), sizeof(Named),
]
NEWEST = (2**32 - 1,) * VERSION_PARTS


cdef size_t part_item(int kind) noexcept nogil:
    return ITEMS[kind]


cdef class Part:
    def __cinit__(self):
        self.values = {}
        self.texts = {}
        self.zones = {}
        self.advertisers = set()

    def __dealloc__(self):
        cdef int kind
        for kind in range(PART_ROWS):
            free(self.rows[kind].data)

    cdef char* more(self, int kind, size_t items) except NULL:
        """Room for so many more rows, zeroed; valid until the next call for this kind."""
        cdef Rows* rows = &self.rows[kind]
        cdef size_t wanted = items * ITEMS[kind]
        cdef size_t room
        cdef char* data
        if rows.size + wanted > rows.room or rows.data == NULL:
            room = max(2 * rows.room, max(rows.size + wanted, <size_t>4096))
            data = <char*>realloc(rows.data, room)
            if data == NULL:
                raise MemoryError
            rows.data, rows.room = data, room
        data = rows.data + rows.size
        memset(data, 0, wanted)
        rows.size += wanted
        return data

    cdef uint32_t count(self, int kind) noexcept:
        return <uint32_t>(self.rows[kind].size // ITEMS[kind])

    cdef uint64_t text(self, bytes raw) except? 0xFFFFFFFFFFFFFFFF:
        """Where the bytes stand in the blob."""
        found = self.texts.get(raw)
        if found is not None:
            return found
        cdef uint64_t at = self.rows[P_BLOB].size
        if raw:
            memcpy(self.more(P_BLOB, len(raw)), <const char*>raw, len(raw))
        self.texts[raw] = at
        return at

    cdef uint32_t value(self, uint32_t dimension, bytes raw, dict terms) except? 0xFFFFFFFF:
        """The number of a value, new or known."""
        cdef tuple key = (dimension, raw)
        cdef PartValue* value
        cdef uint32_t number
        cdef uint64_t at
        term = terms.get(key, 0) if terms else 0
        found = self.values.get(key)
        if found is None:
            number = self.count(P_VALUES)
            at = self.text(raw)
            value = <PartValue*>self.more(P_VALUES, 1)
            value.at, value.n, value.dimension = at, <uint32_t>len(raw), dimension
            self.values[key] = number
        else:
            number = found
        if term:
            value = <PartValue*>self.rows[P_VALUES].data + number
            value.term = value.term or <uint32_t>term
        return number

    cdef int string(self, str text) except -1:
        cdef bytes raw = text.encode()
        cdef uint64_t at = self.text(raw)
        cdef StrRef* row = <StrRef*>self.more(P_STRINGS, 1)
        row.at, row.n = at, <uint32_t>len(raw)
        return 0

    cdef int named(self, int kind, uint32_t key, str text) except -1:
        cdef bytes raw = text.encode()
        cdef uint64_t at = self.text(raw)
        cdef Named* row = <Named*>self.more(kind, 1)
        row.at, row.n, row.key = at, <uint32_t>len(raw), key
        return 0

    cdef uint32_t aim(self, list listed, dict terms, uint32_t* bound) except? 0xFFFFFFFF:
        """Values that a campaign lists, each once; how many. `bound`: the dimensions that it names."""
        cdef uint32_t first = self.count(P_TERMS), number, have, i
        cdef const uint32_t* row
        for dimension, raws in listed:
            bound[0] |= <uint32_t>1 << <uint32_t>dimension
            for raw in raws:
                number = self.value(dimension, raw, terms)
                have = self.count(P_TERMS)
                row = <const uint32_t*>self.rows[P_TERMS].data
                for i in range(first, have):
                    if row[i] == number:
                        break
                else:
                    (<uint32_t*>self.more(P_TERMS, 1))[0] = number
        return self.count(P_TERMS) - first

    def add(self, entry not None):
        cdef uint32_t filter_at = self.count(P_FILTERS)
        cdef uint32_t bits = (
            F_OSV * bool(entry.osv) | F_RADIUS * bool(entry.points) | F_HOURS * bool(entry.hours)
            | F_AGE * bool(entry.age) | F_ALL * bool(entry.every_segment) | F_MULTIPLIERS * bool(entry.multipliers)
        )
        if bits:
            self.filter(entry, bits)
        if entry.raised:
            # Slots at the raised price, found only where it is raised, and one at its own price for all else.
            # With one, every request would have to look at what is dear for others before it knew its winner.
            for includes, excludes in entry.raised:
                self.campaign(entry, includes, excludes, entry.price_max, bits | F_RAISED, filter_at)
            self.campaign(entry, entry.includes, entry.excludes, entry.price, bits | F_PLAIN, filter_at)
        else:
            self.campaign(entry, entry.includes, entry.excludes, entry.price_max, bits, filter_at if bits else 0)

    cdef int campaign(self, object entry, list includes, list excludes, int64_t price_max, uint32_t bits,
                      uint32_t filter_at) except -1:
        cdef CampaignRec* row
        cdef Aim* aim
        cdef FrequencyRec* cap
        cdef Aim found
        cdef uint32_t number = self.count(P_CAMPAIGNS), unused = 0
        found.bound = 0
        found.include_first = self.count(P_TERMS)
        found.include_count = self.aim(includes, entry.terms, &found.bound)
        found.exclude_first = self.count(P_TERMS)
        found.exclude_count = self.aim(excludes, entry.terms, &unused)
        row = <CampaignRec*>self.more(P_CAMPAIGNS, 1)
        row.key, row.advertiser = entry.record.key, entry.record.advertiser
        row.price, row.price_max = entry.price, price_max
        row.flight_start_s, row.flight_end_s = entry.start_s, entry.end_s
        row.creative_count, row.frequency_count = len(entry.creatives), len(entry.frequency)
        row.creative_first = self.count(P_CREATIVES) if row.creative_count else 0
        row.frequency_first = self.count(P_FREQUENCIES) if row.frequency_count else 0
        row.extra, row.extra_at = bits | F_SHADED * bool(entry.shaded), filter_at
        for one in entry.creatives:
            self.creative(one, number)
        for impressions, per_s, level in entry.frequency:
            cap = <FrequencyRec*>self.more(P_FREQUENCIES, 1)
            cap.impressions, cap.per_s, cap.level = impressions, per_s, level
        aim = <Aim*>self.more(P_AIMS, 1)
        aim[0] = found
        return 0

    cdef uint32_t media(self, object one) except 0:
        """What its player or native asks of a creative; its number + 1."""
        cdef MediaRec* row
        cdef AssetRec* asset
        cdef FileRec* file
        cdef uint32_t files = self.count(P_FILES), assets = self.count(P_ASSETS), mime
        cdef uint64_t at
        cdef bytes raw
        for listed in one.files:
            mime = self.count(P_STRINGS)
            self.string(listed.mime)
            file = <FileRec*>self.more(P_FILES, 1)
            file.mime, file.kbps, file.delivery = mime, listed.kbps, listed.delivery
        for listed in one.assets:
            raw = listed.text
            at = self.text(raw)
            mime = 0
            if listed.mime:
                mime = self.count(P_STRINGS) + 1
                self.string(listed.mime)
            asset = <AssetRec*>self.more(P_ASSETS, 1)
            asset.at, asset.n, asset.mime = at, <uint32_t>len(raw), mime
            asset.kind, asset.length, asset.w, asset.h = listed.kind, listed.length, listed.w, listed.h
        row = <MediaRec*>self.more(P_MEDIA, 1)
        row.protocol, row.linear, row.skippable = one.protocol, one.linear, one.skippable
        row.duration_s, row.skip_after_s = one.duration_s, one.skip_after_s
        row.file_count, row.asset_count = len(one.files), len(one.assets)
        row.file_first = files if row.file_count else 0
        row.asset_first = assets if row.asset_count else 0
        return self.count(P_MEDIA)

    cdef int creative(self, object one, uint32_t campaign) except -1:
        cdef CreativeRec* row
        cdef Piece* piece
        cdef uint32_t strings = self.count(P_STRINGS), pieces = self.count(P_PIECES), bundle = 0, media = 0
        cdef uint64_t at
        cdef bytes raw
        for text in one.adomain:
            self.string(text)
        for text in one.cat:
            self.string(text)
        if one.bundle:
            bundle = self.count(P_STRINGS) + 1
            self.string(one.bundle)
        if one.media is not None:
            media = self.media(one.media)
        for kind, raw in one.pieces:
            if kind > LAST_PIECE:
                raise ValueError(f"a piece of kind {kind}, which the writer does not know")
            at = self.text(raw)
            piece = <Piece*>self.more(P_PIECES, 1)
            piece.kind, piece.n, piece.at = kind, <uint32_t>len(raw), at
        row = <CreativeRec*>self.more(P_CREATIVES, 1)
        row.key, row.slot, row.format, row.flags = one.key, campaign, one.format, one.flags
        row.language, row.w, row.h = one.language, one.w, one.h
        row.attr, row.api, row.expdir, row.not_approved = one.attr, one.api, one.expdir, one.not_approved
        row.adomain_count, row.cat_count = len(one.adomain), len(one.cat)
        row.adomain_first = strings if row.adomain_count else 0
        row.cat_first = strings + row.adomain_count if row.cat_count else 0
        row.piece_count = self.count(P_PIECES) - pieces
        row.piece_first = pieces if row.piece_count else 0
        row.bundle, row.media = bundle, media
        return 0

    cdef int value_ids(self, pairs, dict terms, uint32_t* first, uint32_t* count) except -1:
        cdef uint32_t number
        first[0] = self.count(P_VALUE_IDS)
        for dimension, raw in pairs:
            number = self.value(dimension, raw, terms)
            (<uint32_t*>self.more(P_VALUE_IDS, 1))[0] = number
        count[0] = self.count(P_VALUE_IDS) - first[0]
        if not count[0]:
            first[0] = 0
        return 0

    cdef int filter(self, object entry, uint32_t bits) except -1:
        """What the index cannot say of a campaign."""
        cdef Filter found
        cdef Multiplier multiplier
        cdef When when
        cdef Point* point
        cdef int i
        memset(&found, 0, sizeof(found))
        if bits & F_HOURS:
            found.zone = self.zones.setdefault(entry.zone, len(self.zones))
            if found.zone == self.count(P_ZONES):
                self.named(P_ZONES, found.zone, entry.zone)
            for i in entry.hours:
                found.hours[i >> 6] |= <uint64_t>1 << (i & 63)
        if bits & F_OSV:
            least, most = entry.osv
            for i in range(VERSION_PARTS):
                found.osv_min[i], found.osv_max[i] = least[i], most[i]
        if bits & F_AGE:
            found.age_min, found.age_max = entry.age
        if bits & F_RADIUS:
            found.point_first, found.point_count = self.count(P_POINTS), len(entry.points)
            for lat, lon, km in entry.points:
                point = <Point*>self.more(P_POINTS, 1)
                point.lat, point.lon, point.km = lat, lon, km
        if bits & F_ALL:
            self.value_ids([(<int>D_SEGMENT, raw) for raw in entry.every_segment], entry.terms,
                           &found.all_first, &found.all_count)
        if bits & F_MULTIPLIERS:
            found.multiplier_first, found.multiplier_count = self.count(P_MULTIPLIERS), len(entry.multipliers)
            for one in entry.multipliers:
                multiplier.factor = one.factor
                multiplier.when_count = len(one.whens)
                multiplier.when_first = self.count(P_WHENS) if multiplier.when_count else 0
                for pairs in one.whens:
                    self.value_ids(pairs, entry.terms, &when.value_first, &when.value_count)
                    (<When*>self.more(P_WHENS, 1))[0] = when
                (<Multiplier*>self.more(P_MULTIPLIERS, 1))[0] = multiplier
        (<Filter*>self.more(P_FILTERS, 1))[0] = found
        return 0

    def name(self, uint32_t key, str identifier not None):
        self.named(P_IDS, key, identifier)

    def advertiser(self, uint32_t key, str identifier not None):
        if key not in self.advertisers:
            self.advertisers.add(key)
            self.named(P_ADVERTISERS, key, identifier)

    def landing(self, uint32_t creative, str url not None):
        self.named(P_LANDINGS, creative, url)

    def leave_out(self, uint32_t key, str why not None):
        self.named(P_LEFT_OUT, key, why)

    def bytes(self):
        cdef PartHeader head
        cdef int kind
        cdef Py_ssize_t size = sizeof(PartHeader)
        memset(&head, 0, sizeof(head))
        for kind in range(PART_ROWS):
            head.count[kind] = self.rows[kind].size // ITEMS[kind]
            size += (self.rows[kind].size + 7) & ~<size_t>7
        out = bytearray(size)
        cdef char* to = out
        memcpy(head.magic, b"OUTBIDPT", 8)
        head.version, head.length = PART_VERSION, size
        memcpy(to, &head, sizeof(head))
        size = sizeof(PartHeader)
        for kind in range(PART_ROWS):
            if self.rows[kind].size:
                memcpy(to + size, self.rows[kind].data, self.rows[kind].size)
            size += (self.rows[kind].size + 7) & ~<size_t>7
        head.checksum = zlib.crc32(memoryview(out)[CHECKED_FROM:])
        memcpy(to, &head, sizeof(head))
        return out
