"""Lines of connections, first in, first out: one for each number of requests in flight, and one more for the closed.

Every step is a few pointers, however many connections there are. Numbers, not addresses: a connection is its index.
"""

cdef enum:
    NOBODY = -1

cdef struct Line:
    int first, last

cdef struct Place:
    int line                       # NOBODY: in none
    int previous, next

cdef struct Lines:
    Line* lines                    # 0 to depth by requests in flight, depth + 1: closed
    Place* places                  # of each connection
    int depth
    int shortest                   # below it nobody stands

cdef inline void leave(Lines* all, int number) noexcept nogil:
    cdef Place* place = &all.places[number]
    cdef Line* line
    if place.line == NOBODY:
        return
    line = &all.lines[place.line]
    if place.previous == NOBODY:
        line.first = place.next
    else:
        all.places[place.previous].next = place.next
    if place.next == NOBODY:
        line.last = place.previous
    else:
        all.places[place.next].previous = place.previous
    place.line = NOBODY

cdef inline void stand(Lines* all, int number, int at) noexcept nogil:
    """At the end of this line; where it stands there already, it keeps its place."""
    cdef Place* place = &all.places[number]
    cdef Line* line = &all.lines[at]
    if place.line == at:
        return
    leave(all, number)
    place.line, place.previous, place.next = at, line.last, NOBODY
    if line.last == NOBODY:
        line.first = number
    else:
        all.places[line.last].next = number
    line.last = number
    all.shortest = min(all.shortest, at)

cdef inline int choose(Lines* all) noexcept nogil:
    """Who has the fewest requests in flight, and has for longest; NOBODY: all have `depth`."""
    while all.shortest < all.depth:
        if all.lines[all.shortest].first != NOBODY:
            return all.lines[all.shortest].first
        all.shortest += 1
    return NOBODY

cdef inline int first_closed(const Lines* all) noexcept nogil:
    return all.lines[all.depth + 1].first
