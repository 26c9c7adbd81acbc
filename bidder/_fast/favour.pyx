"""Favour: which connections are read and served while there is more than can be.

control (ten times a second) -> sort() -> each connection served | answered | not read

The line runs from the lane that earns most to the one that earns least, each as long as it has connections, and
within a lane by lots that connections keep: who is not served changes as little as it can. Not reading costs
us nothing: what comes stays in the kernel, and its sender notices. Connections without a bid request are left alone.
"""

from bidder._fast.admission cimport IN_FAVOUR, LANES, OUT_OF_FAVOUR
from bidder._fast.http cimport BidProtocol, Connections
from bidder._fast.peer cimport UNREAD

cdef double LOOK_S = 0.85        # and a tick more at most: nobody is left unread for longer than a second
cdef double SPREAD = 1024.0      # makes another draw of a lot


def sort(Connections connections not None, double now_s, double read_to, double serve_to, lanes, double turn=0.0):
    cdef int[LANES] held
    cdef double[LANES] before
    cdef int lane
    cdef double at = 0
    cdef BidProtocol member
    named = set(lanes)
    for lane in range(LANES):
        held[lane] = 0
        before[lane] = 0
    for each in connections.members:
        member = <BidProtocol>each
        if member.lane > 0:
            held[member.lane] += 1
    for each in [*[lane for lane in range(LANES) if lane not in named], *lanes]:
        lane = each
        before[lane] = at
        at += held[lane]
    connections.read_to = read_to
    for each in connections.members:
        member = <BidProtocol>each
        if member.lane > 0:
            lane = member.lane
            place(member, (before[lane] + round_from(member.lot, turn) * held[lane]) / at, now_s, read_to, serve_to)
    return connections.unread


cdef inline double round_from(double lot, double turn) noexcept:
    lot += turn
    return lot - 1 if lot >= 1 else lot


cdef int place(BidProtocol member, double at, double now_s, double read_to, double serve_to) except -1:
    member.standing = IN_FAVOUR if at < serve_to else OUT_OF_FAVOUR
    if at >= read_to:
        if not member.unread:
            member.unread = True
            member.shared.unread += 1
            # Else all that stop at once would be looked at at once, and be a burst of their own.
            member.unread_since = now_s - LOOK_S * (member.lot * SPREAD - <int>(member.lot * SPREAD))
            member.stop(UNREAD)
        elif now_s - member.unread_since >= LOOK_S:
            member.unread_since = now_s
            member.late = True
            member.start(UNREAD)
        elif not member.pauses & UNREAD:   # the look found nothing
            member.late = False
            member.stop(UNREAD)
    elif member.unread:
        member.unread = False
        member.shared.unread -= 1
        member.late = True
        member.start(UNREAD)
    else:
        member.late = False      # since the last tick all that had waited has been read
    return 0
