"""Pods: ads of one request that would run one after another, and what they must not share.

    pods_clear (request) -> pods_imp -> pods_reason for each creative looked at -> pods_place for each bid

OpenRTB 2.6 section 7.6. Imps with the same `podid` are slots of one pod; an imp with a `poddur` is a pod by itself, which
takes several ads, `maxseq` at most, as long as they fit into it. `poddedupe` says what no two ads of a pod may share;
what one of two imps says holds for both. Only our own bids are compared: who else is in the pod the
exchange knows. Durations in seconds.
"""

from bidder._fast.book cimport StrRef
from bidder._fast.formats cimport media_rec, player_of
from bidder._fast.outcome cimport REASON_NONE, REASON_POD
from bidder._fast.request cimport Str, str_equal, str_same

cdef enum:                     # bits of Media.poddedupe
    ALIKE_DOMAIN = 1 << 1
    ALIKE_CATEGORY = 1 << 2
    ALIKE_CREATIVE = 1 << 3 | 1 << 4       # the same creative has the same media files


cdef bint same_pod(const Media* a, const Media* b) noexcept nogil:
    return a == b or (a.podid.p is not NULL and b.podid.p is not NULL and str_equal(a.podid, b.podid))


cdef uint8_t pods_reason(const Pods* pods, Reader reader, Book book, const Imp* imp,
                         const CreativeRec* creative) noexcept nogil:
    cdef const Media* player = player_of(reader, imp, creative.format)
    cdef const Placed* other
    cdef int64_t taken = 0
    cdef int i
    if pods.count > pods.first and (player is NULL or pods.placed[pods.first].player != player):
        return REASON_POD      # the imp is a pod of another format by now
    if not in_pod(player):
        return REASON_NONE
    if pods.count == PLACED_MOST:
        return REASON_POD
    for i in range(pods.count):
        other = &pods.placed[i]
        if i >= pods.first:
            taken += media_rec(book, other.creative).duration_s
        if same_pod(player, other.player) and alike(book, player.poddedupe | other.player.poddedupe, creative, other.creative):
            return REASON_POD
    if player.poddur and taken + media_rec(book, creative).duration_s > player.poddur:
        return REASON_POD
    return REASON_NONE


cdef bint pods_place(Pods* pods, Reader reader, Book book, const Imp* imp, const CreativeRec* creative) noexcept nogil:
    cdef const Media* player = player_of(reader, imp, creative.format)
    cdef int64_t taken = 0
    cdef int i, most = DIVIDED_MOST
    if not in_pod(player) or pods.count == PLACED_MOST:
        return False
    pods.placed[pods.count].player = player
    pods.placed[pods.count].creative = creative
    pods.count += 1
    if 0 < player.maxseq < most:
        most = player.maxseq
    for i in range(pods.first, pods.count):
        taken += media_rec(book, pods.placed[i].creative).duration_s
    return taken < player.poddur and pods.count - pods.first < most


cdef bint alike(Book book, uint32_t rules, const CreativeRec* a, const CreativeRec* b) noexcept nogil:
    if rules & ALIKE_CREATIVE and a.key == b.key:
        return True
    if rules & ALIKE_DOMAIN and share(book, a.adomain_first, a.adomain_count, b.adomain_first, b.adomain_count):
        return True
    return (rules & ALIKE_CATEGORY) != 0 and share(book, a.cat_first, a.cat_count, b.cat_first, b.cat_count)


cdef bint share(Book book, uint32_t first, uint32_t count, uint32_t other, uint32_t others) noexcept nogil:
    """Have two lists of strings one in common?"""
    cdef uint32_t i, k
    for i in range(first, first + count):
        for k in range(other, other + others):
            if str_same(held(book, i), held(book, k)):
                return True
    return False


cdef inline Str held(Book book, uint32_t i) noexcept nogil:
    cdef Str text
    text.p = book.blob + book.strings[i].at
    text.n = book.strings[i].n
    return text
