"""The account of one request: of each imp who wins, who falls where, and what came closest.

    stage + body -> explain() -> Account; Account.document() for programs

Of a large book a few campaigns are told about in words, the closest ones first: putting a million into words takes
longer than asking them. Prices: nano-USD for one impression.
"""

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from bidder._fast.explain import EXAMINED, FIRST_FILTER, SAME_CAMPAIGN
from bidder.campaigns.dimension import Dimension
from bidder.campaigns.spelling import read_back
from bidder.explain.stage import Stage
from bidder.explain.words import SHOWN, Aims, Case, cpm, field_of, listed, predicate
from bidder.features import names_of
from bidder.money.units import cpm_text
from bidder.outcome import Reason

OPEN = -1


@dataclass(frozen=True, slots=True)
class Verdict:
    """One campaign at one imp; NONE: it may bid, and `predicate` says to whom it loses."""

    campaign: str
    outcome: Literal["wins", "outranked", "falls"]
    reason: Reason
    predicate: str
    price: int | None  # that it bids, where it may
    shading: str = ""  # how that was lowered, in words


@dataclass(frozen=True, slots=True)
class Win:
    campaign: str
    creative: str  # crid
    price_cpm: str
    deal: str | None


@dataclass(slots=True)
class ImpAccount:
    """`tally`: (reason, field, campaigns) of those that fall, the closest to a bid first."""

    id: str | None
    reason: Reason = Reason.NONE
    predicate: str = ""  # where the imp is out of the question for every campaign
    wins: list[Win] = field(default_factory=list)  # one, but of a pod
    may_bid: int = 0  # campaigns
    tally: list[tuple[Reason, str, int]] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)


@dataclass(slots=True)
class Account:
    exchange: str
    revision: int
    campaigns: int
    reason: Reason = Reason.NONE  # that the pipeline counts; NONE: there is a bid
    predicate: str = ""  # where the whole request is out of the question
    imps: list[ImpAccount] = field(default_factory=list)

    def document(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "exchange": self.exchange,
            "book_revision": self.revision,
            "campaigns": self.campaigns,
            "bid": self.reason is Reason.NONE,
            "reason": self.reason.name,
            "predicate": self.predicate or None,
            "imps": [_imp_document(imp) for imp in self.imps],
        }


def _imp_document(imp: ImpAccount) -> dict[str, Any]:
    return {
        "id": imp.id,
        "reason": imp.reason.name,
        "predicate": imp.predicate or None,
        "bids": [
            {"campaign": win.campaign, "crid": win.creative, "price_cpm_usd": win.price_cpm, "deal": win.deal}
            for win in imp.wins
        ],
        "may_bid": imp.may_bid,
        "fallen": [{"reason": reason.name, "field": name, "campaigns": n} for reason, name, n in imp.tally],
        "closest": [
            {
                "campaign": one.campaign,
                "outcome": one.outcome,
                "reason": one.reason.name,
                "predicate": one.predicate,
                "price_cpm_usd": None if one.price is None else cpm_text(one.price),
            }
            for one in imp.verdicts
        ],
    }


def nearness(reason: Reason) -> int:
    """Of reasons of campaigns the highest is counted; that targeting refuses the request only where none says more."""
    return -1 if reason is Reason.TARGETING else reason.rank


def explain(stage: Stage, exchange: str, body: bytes, *, most: int | None, only: int | None = None) -> Account:
    """`most`: campaigns of each imp in words; None: all. `only`: slot of the one that is asked about.

    KeyError: no such exchange.
    """
    explainer = stage.explainer
    account = Account(exchange, stage.revision, stage.campaigns)
    account.reason = Reason(explainer.begin(exchange.encode(), body))
    request = explainer.request()
    if account.reason is not Reason.NONE or request is None:
        account.predicate = _of_request(account.reason, request, stage, exchange)
        return account
    imps = [_imp(stage, exchange, request, number, most, only) for number in range(len(request["imps"]))]
    account.imps = imps
    answered = explainer.answered()
    bids = json.loads(answered, parse_float=str, parse_int=str)["seatbid"][0]["bid"] if answered else []
    for bid in bids:
        (imp,) = [imp for imp in imps if imp.id == bid["impid"] and not imp.predicate]
        imp.wins.append(Win(bid["cid"], bid["crid"], bid["price"], bid.get("dealid")))
        imp.verdicts = [
            replace(one, outcome="wins", predicate=one.shading) if one.campaign == bid["cid"] else one
            for one in imp.verdicts
        ]
    if not bids:
        account.reason = max((imp.reason for imp in imps), key=lambda reason: reason.rank)
    return account


def _of_request(reason: Reason, request: dict[str, Any] | None, stage: Stage, exchange: str) -> str:
    match reason:
        case Reason.MALFORMED:
            return "not one JSON object, as RFC 8259 has it"
        case Reason.OFF:
            return "switch: everything is off" if stage.off else f"switch: exchange {exchange} is off"
        case Reason.NO_BOOK:
            return "this host has no book yet"
        case Reason.CONSENT:
            return "consent: the law or the publisher does not let us bid"
        case Reason.DSA:
            return "dsa: a bid has to tell who pays for the ad (dsarequired), which campaigns do not"
    if request is None:
        return reason.name.lower()
    seat = stage.explainer.seat
    match reason:
        case Reason.SEAT if seat in request["bseat"]:
            return f"bseat: {listed(request['bseat'])} has our seat {seat}"
        case Reason.SEAT:
            return f"wseat: {listed(request['wseat'])} lacks our seat {seat}"
        case Reason.CURRENCY:
            return f"cur: {listed(request['cur'])} has no currency that we bid in"
        case Reason.INVALID_REQUEST:
            return "id: missing" if request["id"] is None else "imp: none has an id"
    return reason.name.lower()


def _of_imp(reason: Reason, imp: dict[str, Any], features_off: int) -> str:
    if reason is Reason.INVALID_REQUEST:
        return "imp.id: missing" if imp["id"] is None else f"imp.id: {imp['id']} is the id of another imp too"
    if reason is Reason.QUANTITY:
        return f"qty.multiplier: {imp['quantity'] / 1_000_000:g} impressions for the price of one bid"
    if reason is Reason.FEATURE:
        return f"switch: {', '.join(names_of(features_off))} off, which leaves nothing of this imp to bid on"
    return f"{reason.name.lower()}: the imp offers {listed(imp['media'])}"


def _imp(
    stage: Stage, exchange: str, request: dict[str, Any], number: int, most: int | None, only: int | None
) -> ImpAccount:
    explainer, imp = stage.explainer, request["imps"][number]
    account = ImpAccount(imp["id"], Reason(explainer.barred(number)))
    if account.reason is not Reason.NONE:
        account.predicate = _of_imp(account.reason, imp, explainer.features_off)
        return account
    reasons, steps, candidates = explainer.walk(number)
    candidates.sort(key=lambda candidate: candidate[1:4], reverse=True)
    account.may_bid = len(candidates)
    account.tally = _tally(reasons, steps)
    slots = _closest(reasons, [reason for reason, _, _ in account.tally], [c[0] for c in candidates], most)
    if only is not None:
        slots = [only]
    cases = _Cases(stage, exchange, request, imp, slots, steps)
    standing = {candidate[0]: candidate for candidate in candidates}
    for slot in slots:
        name = explainer.campaign_id(slot) or f"slot {slot}"
        if slot in standing:
            best, own = candidates[0], standing[slot]
            lost = "" if own is best else _outranked(own, best, explainer.campaign_id(best[0]) or "")
            shading = _shading(own)
            said = "; ".join(part for part in (lost, shading) if part)
            account.verdicts.append(Verdict(name, "outranked", Reason.NONE, said, own[2], shading))
        else:
            reason = Reason(reasons[slot])
            account.verdicts.append(
                Verdict(name, "falls", reason, predicate(reason, steps[slot], cases.of(slot)), None)
            )
    account.reason = Reason(explainer.bid(number)[0])
    return account


def _tally(reasons: bytearray, steps: bytearray) -> list[tuple[Reason, str, int]]:
    fallen: Counter[tuple[Reason, str]] = Counter()
    for (reason, step), n in Counter(zip(reasons, steps, strict=True)).items():
        if reason not in (Reason.NONE, SAME_CAMPAIGN):
            fallen[Reason(reason), field_of(Reason(reason), step)] += n
    rows = [(reason, name, n) for (reason, name), n in fallen.items()]
    return sorted(rows, key=lambda row: (-nearness(row[0]), -row[2], row[1]))


def _closest(reasons: bytearray, present: list[Reason], candidates: list[int], most: int | None) -> list[int]:
    """Slots of those that may bid, best first; then of those that fall, the closest first, the dearer of equals.

    Where there are too many of both, half of what is shown is of those that fall.
    """
    fallen: list[int] = []
    for reason in sorted(set(present), key=nearness, reverse=True):
        at = reasons.find(reason)
        while at >= 0 and (most is None or len(fallen) < most):
            fallen.append(at)
            at = reasons.find(reason, at + 1)
    if most is not None:
        candidates = candidates[: max(most - len(fallen), most // 2)]
        fallen = fallen[: most - len(candidates)]
    return candidates + fallen


def _shading(own: tuple[int, ...]) -> str:
    """Of one that bids less than it might: the winner pays its bid."""
    return f"shading: {cpm(own[2])} of {cpm(own[5])} USD" if own[2] < own[5] else ""


def _outranked(own: tuple[int, ...], best: tuple[int, ...], winner: str) -> str:
    if own[1] != best[1]:
        return f"deal: {winner} bids through {'a guaranteed deal' if best[1] > 1 else 'a deal'}"
    if own[2] != best[2]:
        return f"price: {cpm(own[2])} < {cpm(best[2])} USD of {winner}"
    return f"price: {cpm(own[2])} USD like {winner}, which drew the higher number"


class _Cases:
    """What there is to say of these campaigns at this imp; a dimension is looked up for all of them at once."""

    def __init__(
        self,
        stage: Stage,
        exchange: str,
        request: dict[str, Any],
        imp: dict[str, Any],
        slots: Sequence[int],
        steps: bytearray,
    ) -> None:
        self._stage = stage
        self._place = (request, imp, exchange, stage.explainer.seat, stage.explainer.now_s, stage.secure_notices)
        self._steps = steps
        self._aims: dict[int, Aims] = {}
        by_dimension: dict[int, list[int]] = {}
        for slot in slots:
            if steps[slot] < FIRST_FILTER:
                by_dimension.setdefault(steps[slot], []).append(slot)
        for dimension, some in by_dimension.items():
            for slot, (included, excluded, counts, hit) in stage.explainer.aims(dimension, some, 3 * SHOWN).items():
                texts = [self._texts(Dimension(dimension), raws) for raws in (included, excluded, hit)]
                hidden = [len(raws) - len(text) for raws, text in zip((included, excluded), texts, strict=False)]
                self._aims[slot] = Aims(texts[0], texts[1], texts[2], (counts[0] - hidden[0], counts[1] - hidden[1]))

    def _texts(self, dimension: Dimension, raws: list[bytes]) -> list[str]:
        return list(dict.fromkeys(read_back(dimension, raw, self._stage.exchanges) for raw in raws))

    def of(self, slot: int) -> Case:
        step, explainer = self._steps[slot], self._stage.explainer
        return Case(
            *self._place,
            facts=explainer.facts(slot) if step >= EXAMINED else {},
            filters=explainer.filters(slot) if FIRST_FILTER <= step < EXAMINED else {},
            aims=self._aims.get(slot),
        )
