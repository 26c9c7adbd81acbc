"""Parts of a book -> the book: campaigns in descending order of price, one index over all of them.

    Merger(parts, seed) -> plan(...) = length of the file -> write(...) into a map of that length

Time and memory are linear in the rows; only campaigns and names are sorted. The same parts in the same order give the
same bytes. Parts are checked by their checksum and trusted then; `check_book` sees what becomes of them.
"""

from libc.stdlib cimport qsort
from libc.string cimport memcmp, memcpy, memset

import zlib

from bidder._fast.book cimport (
    ArmRec, AssetRec, CampaignRec, CreativeRec, FileRec, FrequencyRec, MediaRec, Piece, RateRec, StrRef,
)
from bidder._fast.book_layout cimport *
from bidder._fast.book_moves cimport (
    move_assets, move_creative, move_files, move_filters, move_media, move_multipliers, move_pieces, move_texts, move_whens,
)
from bidder._fast.book_part cimport *
from bidder._fast.book_summary cimport summarise

cdef enum:
    DENSE_WORTH = 4            # a bitmap is scanned faster than slots: it may cost this many times their bytes
    ALIGN = 64

cdef size_t[27] ITEMS = [
    sizeof(CampaignRec), sizeof(CreativeRec), sizeof(StrRef), sizeof(Piece), sizeof(FrequencyRec), sizeof(Filter),
    sizeof(Point), sizeof(Multiplier), sizeof(When), 4, sizeof(Dimension), sizeof(Value), 8, 8, 4,
    sizeof(Named), sizeof(Named), sizeof(Named), sizeof(Named), 1, 8, sizeof(MediaRec), sizeof(AssetRec),
    sizeof(FileRec), sizeof(RateRec), sizeof(Named), sizeof(ArmRec),
]


cdef int _dearest_first(const void* a, const void* b) noexcept nogil:
    cdef const Place* x = <const Place*>a
    cdef const Place* y = <const Place*>b
    if x.price_max != y.price_max:
        return 1 if x.price_max < y.price_max else -1
    if x.key != y.key:
        return (x.key > y.key) - (x.key < y.key)
    return (x.number > y.number) - (x.number < y.number)


cdef int _by_key(const void* a, const void* b) noexcept nogil:
    cdef uint32_t x = (<const Named*>a).key, y = (<const Named*>b).key
    return (x > y) - (x < y)


cdef inline void _flip(uint64_t* bitmap, uint64_t slot) noexcept nogil:
    bitmap[slot >> 6] ^= <uint64_t>1 << (slot & 63)


cdef class Merger:
    def __init__(self, parts, uint64_t seed):
        cdef uint32_t i, zones = 0
        cdef int kind
        self.parts = list(parts)
        self.kept, self.zones, self.left_out, self.advertisers = [], [], [], {}
        self.seed = seed
        self.source_count = len(self.parts)
        self.sources = <Source*>self.room(self.source_count, sizeof(Source))
        for i in range(self.source_count):
            self.take(i, self.parts[i])
            self.sources[i].zone = zones
            zones += self.sources[i].count[P_ZONES]
            for kind in range(PART_ROWS):
                self.sources[i].first[kind] = self.totals[kind]
                self.totals[kind] += self.sources[i].count[kind]
        self.zone_of = <uint32_t*>self.room(zones, sizeof(uint32_t))
        self.join_names()
        self.order()
        self.join_values()
        self.join_postings()
        self.choose_forms()

    cdef void* room(self, size_t count, size_t item) except NULL:
        """Zeroed memory that lives as long as the merger."""
        cdef bytearray memory = bytearray((count + 1) * item)
        self.kept.append(memory)
        return <void*><char*>memory

    cdef int take(self, uint32_t number, const unsigned char[::1] part) except -1:
        """Check a part, and note where its rows are."""
        cdef const PartHeader* head = <const PartHeader*>&part[0]
        cdef Source* source = &self.sources[number]
        cdef uint64_t at = sizeof(PartHeader), length = part.shape[0]
        cdef int kind
        if length < sizeof(PartHeader) or memcmp(head.magic, b"OUTBIDPT", 8) or head.version != PART_VERSION \
                or head.length != length or zlib.crc32(part[CHECKED_FROM:]) != head.checksum:
            raise ValueError(f"part {number} is not as it was written")
        for kind in range(PART_ROWS):
            source.rows[kind] = <const char*>&part[0] + at
            source.count[kind] = <uint32_t>head.count[kind]
            at += (head.count[kind] * part_item(kind) + 7) & ~<uint64_t>7
        return 0

    cdef int join_names(self) except -1:
        """Zones get one number each; advertisers, and what was left out, are gathered."""
        cdef const Named* row
        cdef uint32_t i, n
        known = {}
        for i in range(self.source_count):
            for n in range(self.sources[i].count[P_ZONES]):
                row = <const Named*>self.sources[i].rows[P_ZONES] + n
                name = self.sources[i].rows[P_BLOB][row.at:row.at + row.n]
                self.zone_of[self.sources[i].zone + row.key] = known.setdefault(name, len(known))
            for n in range(self.sources[i].count[P_ADVERTISERS]):
                row = <const Named*>self.sources[i].rows[P_ADVERTISERS] + n
                self.advertisers[row.key] = self.sources[i].rows[P_BLOB][row.at:row.at + row.n]
            for n in range(self.sources[i].count[P_LEFT_OUT]):
                row = <const Named*>self.sources[i].rows[P_LEFT_OUT] + n
                self.left_out.append(self.sources[i].rows[P_BLOB][row.at:row.at + row.n].decode())
        self.zones = list(known)
        return 0

    cdef int order(self) except -1:
        cdef const CampaignRec* rows
        cdef Place* place
        cdef uint32_t i, n
        self.campaigns = <uint32_t>self.totals[P_CAMPAIGNS]
        self.words = (self.campaigns + BLOCK - 1) // BLOCK * BLOCK_WORDS
        self.places = place = <Place*>self.room(self.campaigns, sizeof(Place))
        for i in range(self.source_count):
            rows = <const CampaignRec*>self.sources[i].rows[P_CAMPAIGNS]
            for n in range(self.sources[i].count[P_CAMPAIGNS]):
                place.price_max, place.key, place.source, place.number = rows[n].price_max, rows[n].key, i, n
                place.raised = (rows[n].extra & F_RAISED) != 0
                place += 1
        qsort(self.places, self.campaigns, sizeof(Place), _dearest_first)
        return 0

    cdef int join_values(self) except -1:
        """Values that several parts name become one; the first part that names it lends its bytes."""
        cdef uint64_t total = self.totals[P_VALUES], size = 2, at, hash
        cdef uint32_t* table
        cdef const PartValue* row
        cdef Source* source
        cdef Value* value
        cdef const char* raw
        cdef uint32_t i, n
        while size < 2 * (total + 1):
            size *= 2
        table = <uint32_t*>self.room(size, sizeof(uint32_t))
        self.values = <Value*>self.room(total, sizeof(Value))
        self.raws = <const char**>self.room(total, sizeof(char*))
        for i in range(self.source_count):
            source = &self.sources[i]
            source.value = <uint32_t*>self.room(source.count[P_VALUES], sizeof(uint32_t))
            for n in range(source.count[P_VALUES]):
                row = <const PartValue*>source.rows[P_VALUES] + n
                raw = source.rows[P_BLOB] + row.at
                hash = book_hash(self.seed, row.dimension, raw, row.n)
                at = hash & (size - 1)
                while table[at]:
                    value = &self.values[table[at] - 1]
                    if value.hash == hash and value.dimension == row.dimension and value.n == row.n \
                            and memcmp(self.raws[table[at] - 1], raw, row.n) == 0:
                        break
                    at = (at + 1) & (size - 1)
                else:
                    value = &self.values[self.value_count]
                    value.hash, value.n, value.dimension = hash, row.n, row.dimension
                    value.at = source.first[P_BLOB] + row.at
                    memcpy(value.start, raw, min(row.n, <uint32_t>START_BYTES))
                    self.raws[self.value_count] = raw
                    self.value_count += 1
                    table[at] = self.value_count
                    self.used |= <uint64_t>1 << row.dimension
                source.value[n] = table[at] - 1
                value.term = value.term or row.term
        return 0

    cdef int join_postings(self) except -1:
        """Per value the slots that include and that exclude it, ascending."""
        cdef const Aim* aim
        cdef const Source* source
        cdef const uint32_t* term
        cdef uint64_t* ends
        cdef uint64_t total = 0, kept
        cdef uint32_t slot, k
        cdef int fill, d
        self.starts = ends = <uint64_t*>self.room(2 * <size_t>self.value_count + 1, sizeof(uint64_t))
        for fill in range(2):
            for slot in range(self.campaigns):
                source = &self.sources[self.places[slot].source]
                aim = <const Aim*>source.rows[P_AIMS] + self.places[slot].number
                term = <const uint32_t*>source.rows[P_TERMS]
                for k in range(aim.include_first, aim.include_first + aim.include_count):
                    if fill:
                        self.slots[ends[2 * source.value[term[k]]]] = slot
                    ends[2 * source.value[term[k]]] += 1
                for k in range(aim.exclude_first, aim.exclude_first + aim.exclude_count):
                    if fill:
                        self.slots[ends[2 * source.value[term[k]] + 1]] = slot
                    ends[2 * source.value[term[k]] + 1] += 1
                for d in range(DIMENSIONS if not fill else 0):
                    self.bound[d] += aim.bound >> d & 1
            if not fill:
                for k in range(2 * self.value_count):
                    kept = ends[k]
                    ends[k] = total
                    total += kept
                self.slots = <uint32_t*>self.room(total, sizeof(uint32_t))
        # Filled, each start has become its end, which is the next one's start.
        for k in range(2 * self.value_count, 0, -1):
            ends[k] = ends[k - 1]
        ends[0] = 0
        for d in range(DIMENSIONS):
            if self.bound[d]:
                self.used |= <uint64_t>1 << d
        return 0

    cdef int choose_forms(self) except -1:
        """A bitmap or slots for each posting, whichever is cheaper for as many campaigns as it has."""
        cdef Value* value
        cdef uint64_t count
        cdef uint32_t v
        cdef int way, d
        for v in range(self.value_count):
            value = &self.values[v]
            for way in range(2):
                count = self.starts[2 * v + way + 1] - self.starts[2 * v + way]
                if count and count * 4 * DENSE_WORTH >= <uint64_t>self.words * 8:
                    value.dense |= (<uint32_t>DENSE_EXC if way else <uint32_t>DENSE_INC)
                    (&value.exc_at if way else &value.inc_at)[0] = <uint32_t>self.bitmaps
                    self.bitmaps += 1
                else:
                    (&value.exc_at if way else &value.inc_at)[0] = <uint32_t>self.sparse
                    self.sparse += count
                (&value.exc_count if way else &value.inc_count)[0] = <uint32_t>count
        for d in range(DIMENSIONS):
            self.bitmaps += self.bound[d] != 0
        if self.sparse >= 2**32:
            raise ValueError(f"postings of {self.sparse} slots; a book holds 2^32")
        return 0

    def facts(self):
        cdef uint32_t slot, raised = 0
        for slot in range(self.campaigns):
            raised += self.places[slot].raised
        return self.campaigns - raised, self.totals[P_CREATIVES], self.value_count, self.left_out

    # The file.

    def header(self, exchanges, bytes rates not None, bytes arms not None, uint64_t revision):
        cdef Header head
        cdef uint64_t index = 2, at = sizeof(Header)
        cdef int s
        while index < 2 * (<uint64_t>self.value_count + 1):
            index *= 2
        counts = [
            self.campaigns, self.totals[P_CREATIVES], self.totals[P_STRINGS], self.totals[P_PIECES],
            self.totals[P_FREQUENCIES], self.totals[P_FILTERS], self.totals[P_POINTS], self.totals[P_MULTIPLIERS],
            self.totals[P_WHENS], self.totals[P_VALUE_IDS], self.used.bit_count(), self.value_count, index,
            self.bitmaps * self.words, self.sparse, len(self.zones), len(exchanges), self.totals[P_LANDINGS],
            self.totals[P_IDS], self.totals[P_BLOB] + sum(
                len(name) for name in [*(name.encode() for name in exchanges), *self.zones, *self.advertisers.values()]
            ),
            0, self.totals[P_MEDIA], self.totals[P_ASSETS], self.totals[P_FILES], len(rates) // sizeof(RateRec),
            len(self.advertisers), len(arms) // sizeof(ArmRec),
        ]
        memset(&head, 0, sizeof(head))
        memcpy(head.magic, b"OUTBIDBK", 8)
        head.version, head.revision, head.seed = BOOK_VERSION, revision, self.seed
        head.sections, head.words = SECTIONS, self.words
        counts[S_SUMMARIES] = self.bitmaps * summary_words(&head)
        for s in range(SECTIONS):
            at = (at + ALIGN - 1) & ~<uint64_t>(ALIGN - 1)
            head.table[s].at, head.table[s].count, head.table[s].item = at, counts[s], <uint32_t>ITEMS[s]
            at += <uint64_t>counts[s] * ITEMS[s]
        head.length = at
        return (<const char*>&head)[:sizeof(Header)], at

    def write(self, unsigned char[::1] out not None, bytes header not None, exchanges, bytes rates not None,
              bytes arms not None, purse_of):
        memcpy(&out[0], <const char*>header, sizeof(Header))
        self.out = <char*>&out[0]
        self.head = <const Header*>self.out
        self.write_campaigns(purse_of)
        self.write_rest()
        self.write_index()
        self.write_summaries()
        self.write_named(S_LANDINGS, P_LANDINGS)
        self.write_named(S_IDS, P_IDS)
        self.write_names(exchanges)
        memcpy(self.section(S_RATES), <const char*>rates, len(rates))
        memcpy(self.section(S_ARMS), <const char*>arms, len(arms))
        (<Header*>self.out).checksum = zlib.crc32(out[CHECKED_FROM:])

    cdef void* section(self, int number) noexcept:
        return self.out + self.head.table[number].at

    cdef int write_campaigns(self, purse_of) except -1:
        """Campaigns and their creatives by slot: what the auction looks at first stands together."""
        cdef CampaignRec* row = <CampaignRec*>self.section(S_CAMPAIGNS)
        cdef CreativeRec* creative = <CreativeRec*>self.section(S_CREATIVES)
        cdef const Source* source
        cdef uint32_t slot, k, creatives = 0, first
        for slot in range(self.campaigns):
            source = &self.sources[self.places[slot].source]
            row[0] = (<const CampaignRec*>source.rows[P_CAMPAIGNS])[self.places[slot].number]
            row.purse = purse_of(row.key)
            first = row.creative_first
            row.creative_first = creatives if row.creative_count else 0
            if row.frequency_count:
                row.frequency_first += <uint32_t>source.first[P_FREQUENCIES]
            if row.extra & ~<uint32_t>F_SHADED:      # then it has a filter
                row.extra_at += source.first[P_FILTERS]
            for k in range(first, first + row.creative_count):
                creative[0] = (<const CreativeRec*>source.rows[P_CREATIVES])[k]
                creative.slot = slot
                move_creative(creative, source.first)
                creative += 1
            creatives += row.creative_count
            row += 1
        return 0

    cdef int write_rest(self) except -1:
        """What stands in the order of the parts, its numbers moved to the book's."""
        cdef const Source* source
        cdef char* to
        cdef uint32_t i, n
        cdef uint32_t* ids
        cdef int section
        cdef int[12] kinds = [
            P_STRINGS, P_PIECES, P_FREQUENCIES, P_FILTERS, P_POINTS, P_MULTIPLIERS, P_WHENS, P_VALUE_IDS, P_BLOB,
            P_MEDIA, P_ASSETS, P_FILES,
        ]
        cdef int[12] sections = [
            S_STRINGS, S_PIECES, S_FREQUENCIES, S_FILTERS, S_POINTS, S_MULTIPLIERS, S_WHENS, S_VALUE_IDS, S_BLOB,
            S_MEDIA, S_ASSETS, S_FILES,
        ]
        for i in range(self.source_count):
            source = &self.sources[i]
            for n in range(12):
                to = <char*>self.section(sections[n]) + source.first[kinds[n]] * ITEMS[sections[n]]
                memcpy(to, source.rows[kinds[n]], source.count[kinds[n]] * ITEMS[sections[n]])
            move_texts(<StrRef*>self.section(S_STRINGS) + source.first[P_STRINGS], source.count[P_STRINGS], source.first)
            move_pieces(<Piece*>self.section(S_PIECES) + source.first[P_PIECES], source.count[P_PIECES], source.first)
            move_media(<MediaRec*>self.section(S_MEDIA) + source.first[P_MEDIA], source.count[P_MEDIA], source.first)
            move_assets(<AssetRec*>self.section(S_ASSETS) + source.first[P_ASSETS], source.count[P_ASSETS], source.first)
            move_files(<FileRec*>self.section(S_FILES) + source.first[P_FILES], source.count[P_FILES], source.first)
            move_filters(<Filter*>self.section(S_FILTERS) + source.first[P_FILTERS], source.count[P_FILTERS], source.first,
                         self.zone_of + source.zone if source.count[P_ZONES] else NULL)
            move_multipliers(<Multiplier*>self.section(S_MULTIPLIERS) + source.first[P_MULTIPLIERS], source.count[P_MULTIPLIERS], source.first)
            move_whens(<When*>self.section(S_WHENS) + source.first[P_WHENS], source.count[P_WHENS], source.first)
            ids = <uint32_t*>self.section(S_VALUE_IDS) + source.first[P_VALUE_IDS]
            for n in range(source.count[P_VALUE_IDS]):
                ids[n] = source.value[ids[n]]
        return 0

    cdef int write_index(self) except -1:
        """Values, the hash table over them, their postings, and the dimensions with their bases."""
        cdef uint64_t* table = <uint64_t*>self.section(S_INDEX)
        cdef uint64_t* bitmaps = <uint64_t*>self.section(S_BITMAPS)
        cdef uint32_t* slots = <uint32_t*>self.section(S_SLOTS)
        cdef Dimension* dimension = <Dimension*>self.section(S_DIMENSIONS)
        cdef uint64_t mask = self.head.table[S_INDEX].count - 1, at, k
        cdef uint64_t bitmap = self.bitmaps
        cdef uint64_t* base
        cdef const Value* value
        cdef const Aim* aim
        cdef uint32_t v, slot
        cdef int way, d
        memcpy(self.section(S_VALUES), self.values, self.value_count * sizeof(Value))
        for v in range(self.value_count):
            value = &self.values[v]
            at = value.hash & mask
            while table[at]:
                at = (at + 1) & mask
            table[at] = (value.hash >> 32) << 32 | (v + 1)
            for way in range(2):
                k = self.starts[2 * v + way]
                at = value.exc_at if way else value.inc_at
                if value.dense & (DENSE_EXC if way else DENSE_INC):
                    for k in range(k, self.starts[2 * v + way + 1]):
                        _flip(bitmaps + at * self.words, self.slots[k])
                else:
                    memcpy(slots + at, self.slots + k, (self.starts[2 * v + way + 1] - k) * sizeof(uint32_t))
        for d in range(DIMENSIONS):
            bitmap -= self.bound[d] != 0
        # Of the request before those of the imp; then what binds most campaigns, as it empties blocks soonest.
        names = [d for d in range(DIMENSIONS) if self.used >> d & 1]
        for d in sorted(names, key=lambda n: (n >= D_DEAL, 0 if n >= D_DEAL else -self.bound[<uint32_t>n], n)):
            dimension.id, dimension.base = d, NO_BITMAP
            if self.bound[d]:
                dimension.base = <uint32_t>bitmap
                base = bitmaps + bitmap * self.words
                bitmap += 1
                memset(base, 255, self.campaigns // 64 * 8)
                if self.campaigns & 63:
                    base[self.campaigns >> 6] = (<uint64_t>1 << (self.campaigns & 63)) - 1
                for slot in range(self.campaigns):
                    aim = <const Aim*>self.sources[self.places[slot].source].rows[P_AIMS] + self.places[slot].number
                    if aim.bound >> d & 1:
                        _flip(base, slot)
            dimension += 1
        return 0

    cdef int write_summaries(self) except -1:
        cdef const uint64_t* bitmaps = <const uint64_t*>self.section(S_BITMAPS)
        cdef uint64_t* summary = <uint64_t*>self.section(S_SUMMARIES)
        cdef uint64_t words = summary_words(self.head), b
        cdef uint32_t v
        cdef set excluding = set()
        for v in range(self.value_count):
            if self.values[v].dense & DENSE_EXC:
                excluding.add(self.values[v].exc_at)
        for b in range(self.bitmaps):
            summarise(bitmaps + b * self.words, self.words // BLOCK_WORDS, self.campaigns, b in excluding,
                      summary + b * words)
        return 0

    cdef int write_named(self, int section, int kind) except -1:
        cdef Named* rows = <Named*>self.section(section)
        cdef Named* row = rows
        cdef uint32_t i, n
        for i in range(self.source_count):
            for n in range(self.sources[i].count[kind]):
                row[0] = (<const Named*>self.sources[i].rows[kind])[n]
                row.at += self.sources[i].first[P_BLOB]
                row += 1
        qsort(rows, self.totals[kind], sizeof(Named), _by_key)
        return 0

    cdef int write_names(self, exchanges) except -1:
        """Exchanges and advertisers by key, and zones by number; their bytes end the blob."""
        cdef uint64_t at = self.totals[P_BLOB]
        cdef Named* row
        cdef bytes raw
        for section, pairs in (
            (S_EXCHANGES, sorted((key, name.encode()) for name, key in exchanges.items())),
            (S_ZONES, list(enumerate(self.zones))),
            (S_ADVERTISERS, sorted(self.advertisers.items())),
        ):
            row = <Named*>self.section(section)
            for key, raw in pairs:
                memcpy(<char*>self.section(S_BLOB) + at, <const char*>raw, len(raw))
                row.at, row.n, row.key = at, <uint32_t>len(raw), key
                at += len(raw)
                row += 1
        return 0
