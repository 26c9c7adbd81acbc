"""Which of two reasons came closer to a bid: the order of `bidder.outcome`, where compiled code finds it."""

from bidder.outcome import NEARNESS

for _rank, _reason in enumerate(NEARNESS):
    RANK[<uint8_t>_reason.value] = <uint8_t>_rank
del _rank, _reason


def rank(uint8_t reason):
    return RANK[reason]
