"""Pods: which ads of one request would run one after another, and what they must not share."""

from libc.stdint cimport int32_t, int64_t, uint8_t, uint32_t
from bidder._fast.book cimport Book, CreativeRec
from bidder._fast.request cimport Imp, Media, Reader

cdef enum:
    PLACED_MOST = 128          # ads in pods that one request gets
    DIVIDED_MOST = 16          # ads of ours in one imp

cdef struct Placed:
    const Media* player        # of the imp that it bids on
    const CreativeRec* creative

cdef struct Pods:              # of one request
    Placed placed[128]
    int count
    int first                  # in `placed`, of the imp that is bid on now

cdef inline bint in_pod(const Media* player) noexcept nogil:
    return player is not NULL and (player.podid.p is not NULL or player.poddur > 0)

# A new request; a new imp of it.
cdef inline void pods_clear(Pods* pods) noexcept nogil:
    pods.count = pods.first = 0

cdef inline void pods_imp(Pods* pods) noexcept nogil:
    pods.first = pods.count

# Why this creative cannot stand beside those that were placed; REASON_NONE: it can.
cdef uint8_t pods_reason(const Pods* pods, Reader reader, Book book, const Imp* imp,
                         const CreativeRec* creative) noexcept nogil
# Notes that the creative bids on the imp; True: the imp is a pod that takes more ads.
cdef bint pods_place(Pods* pods, Reader reader, Book book, const Imp* imp, const CreativeRec* creative) noexcept nogil
