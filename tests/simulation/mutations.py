"""Bugs that somebody might write, to be planted: a simulation that does not find them is worth nothing."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tests.reference.bank import Bank


@dataclass(frozen=True)
class Bugs:
    """Each is one slip in one place."""

    book_twice: bool = False  # the ledger forgets which notices of earlier batches it has booked
    move_first: bool = False  # the ledger moves its place in a transaction of its own, before it books
    forget_sync: bool = False  # the tracker acknowledges what is written, not what is synced
    acknowledge_early: bool = False  # it acknowledges what waits for the disk
    keep_refused: bool = False  # a repeat of a notice that the disk refused is taken for one that was booked
    reuse_epoch: bool = False  # a worker that comes back numbers its bids as the last one did
    never_stale: bool = False  # the office says that totals are fresh whatever they are
    close_behind: bool = False  # the office closes leases by its clock alone
    lend_twice: bool = False  # the office does not see what other hosts' leases may cost
    count_again: bool = False  # a window that is sent again is added again


NONE = Bugs()


def plant(bank: Bank, bugs: Bugs) -> None:
    """Those that are in Postgres, or in what the controller asks of it; hosts and trackers look for their own."""

    def instead(name: str, deed: Callable[..., Any]) -> None:
        setattr(bank, name, deed)

    if bugs.book_twice:
        commit = bank.commit
        instead("commit", lambda batch: (bank.bids.clear(), commit(batch))[1])
    if bugs.count_again:
        apply = bank.apply
        instead("apply", lambda windows, losses: (bank.progress.clear(), apply(windows, losses))[1])
    behind_s, sync, account = bank.behind_s, bank.sync, bank._account
    if bugs.never_stale:
        instead("behind_s", lambda now: (0.0, behind_s(now)[1]))
    if bugs.close_behind:
        instead("behind_s", lambda now: (behind_s(now)[0], 0.0))
    if bugs.lend_twice:

        def mine(campaign: Any, now: Any) -> Any:
            found = account(campaign, now)
            found.outs = [out for out in found.outs if out.host == asking[-1]]
            return found

        asking: list[str] = []
        instead("sync", lambda request, now: (asking.append(request.host), sync(request, now))[1])
        instead("_account", mine)
