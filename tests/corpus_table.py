"""What real traffic gives, counted: every request of a corpus against a book that can serve every format.

    python -m tests.corpus_table [--corpus FILE] [--write]

Prints the table of docs/openrtb.md; `--write` puts it there. Every answer is held against the linter.
"""

import argparse
import json
import sys
import tempfile
from collections import Counter
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from bidder.campaigns.rates import Rates
from bidder.events.schema import Kind
from bidder.openrtb.codes import FORMATS as MTYPES
from bidder.openrtb.lint import Severity, lint
from bidder.openrtb.profile import profile_of
from bidder.outcome import Reason
from tests.conftest import corpus_path
from tests.explained import CHECKOUT, CREATIVES, FORMATS
from tests.worlds import EXCHANGES, NOW_S, World, banner, campaign

PAGE = CHECKOUT / "docs" / "openrtb.md"
BEGIN, END = "<!-- counted: begin -->\n", "<!-- counted: end -->\n"
EXCHANGE = "openx"
SEAT = "Agency1"  # many private deals of the corpus are its
FUNDS = 10**17
PER_USD = {
    "EUR": "0.92",
    "GBP": "0.79",
    "JPY": "150",
    "AUD": "1.52",
    "RUB": "92",
    "MXN": "18",
    "NZD": "1.65",
    "CAD": "1.37",
}
RATES = Rates(
    date="2026-09-21",
    until_s=NOW_S + 10 * 86_400,
    per_usd={currency: Decimal(worth).as_integer_ratio() for currency, worth in PER_USD.items()},
)


def deals_of(imp: dict[str, Any]) -> list[dict[str, Any]]:
    """The deals of an imp that can be read as such."""
    pmp = imp.get("pmp")
    found = pmp.get("deals") if isinstance(pmp, dict) else None
    return [deal for deal in found or [] if isinstance(deal, dict)] if isinstance(found, list) else []


def imps_of(request: dict[str, Any]) -> list[dict[str, Any]]:
    """The imps of a request that can be read as such."""
    found = request.get("imp")
    return [imp for imp in found if isinstance(imp, dict)] if isinstance(found, list) else []


def private(requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """One campaign that has all their deals, in every format, and in the sizes and domains that these ask for."""
    with_deals = [imp for request in requests for imp in imps_of(request) if deals_of(imp)]
    deals = [deal for imp in with_deals for deal in deals_of(imp) if isinstance(deal.get("id"), str)]
    if not deals:
        return []
    sizes = {
        (size["w"], size["h"])
        for imp in with_deals
        for size in (imp.get("banner") or {}).get("format") or []
        if isinstance(size.get("w"), int) and isinstance(size.get("h"), int)
    }
    domains = {domain for deal in deals for domain in deal.get("wadomain") or []}
    banners = [
        banner(id=f"{w}x{h}", w=w, h=h, adm=f'<img src="https://cdn.example/{w}.png">') for w, h in sorted(sizes)
    ]
    others = [one | {"id": f"{body['id']}-{one['id']}"} for body in FORMATS for one in body["creatives"]]
    creatives = [one | {"adomain": sorted({*one.get("adomain", []), *domains})} for one in [*banners, *others]]
    ids = sorted({deal["id"] for deal in deals})
    return [campaign("deals", "6", creatives=creatives, targeting={"deal": {"include": ids}})]


class Tally:
    """Every format, every deal that the requests name, rates for what floors are in; and what became of it."""

    def __init__(self, directory: Path, lines: list[bytes]) -> None:
        self.requests = [json.loads(line) for line in lines]
        self.campaigns = [*FORMATS, campaign("banners", "3", creatives=CREATIVES), *private(self.requests)]
        self.world = World(
            directory,
            self.campaigns,
            rates=RATES,
            exchanges={**EXCHANGES, EXCHANGE: replace(EXCHANGES[EXCHANGE], seat=SEAT)},
        )
        for body in self.campaigns:
            self.world.fund(body["id"], FUNDS)
        self.rows: Counter[str] = Counter()
        self.reasons: Counter[str] = Counter()
        self.found: Counter[tuple[str, str]] = Counter()  # (severity, rule)
        for line, request in zip(lines, self.requests, strict=True):
            self.count(line, request)

    def count(self, line: bytes, request: dict[str, Any]) -> None:
        """One request."""
        status, body = self.world.decider.answer(EXCHANGE.encode(), line)
        counted = self.world.drain()
        self.rows["requests"] += 1
        self.rows[f"status {status}"] += 1
        profile = profile_of(EXCHANGE, self.world.exchanges[EXCHANGE])
        rates = {currency: Decimal(worth) for currency, worth in PER_USD.items()}
        for violation in lint(line, body or None, status=status, profile=profile, rates=rates):
            self.found[violation.severity.value, violation.rule] += 1
        if status != 200:
            if request.get(
                "test"
            ):  # of a test nothing is counted: why it got no bid is told of the same one in earnest
                self.world.decider.answer(EXCHANGE.encode(), json.dumps(request | {"test": 0}).encode())
                counted = self.world.drain()
            (reason,) = [Reason(row.reason) for row in counted if row.kind == Kind.NOBID]
            self.reasons[reason.name] += 1
            return
        answer = json.loads(body)
        bids = [bid for seatbid in answer["seatbid"] for bid in seatbid["bid"]]
        imps = {str(imp.get("id")): imp for imp in imps_of(request)}
        self.rows["bids"] += len(bids)
        self.rows["answers of several bids"] += len(bids) > 1
        self.rows["answers in another currency than USD"] += answer["cur"] != "USD"
        for bid in bids:
            self.rows[f"bids, {MTYPES[bid['mtype']]}"] += 1
            self.rows["bids through a deal"] += "dealid" in bid
            imp = imps.get(bid["impid"], {})
            floors = [imp, *(deal for deal in deals_of(imp) if deal.get("id") == bid.get("dealid"))]
            foreign = any(one.get("bidfloor") and one.get("bidfloorcur", "USD") != "USD" for one in floors)
            self.rows["bids above a floor in another currency than USD"] += foreign

    def markdown(self) -> str:
        """The table, as the page has it."""
        order = [
            "requests", "status 200", "status 204", "bids", *(f"bids, {name}" for name in MTYPES.values()),
            "bids through a deal", "bids above a floor in another currency than USD", "answers of several bids",
            "answers in another currency than USD",
        ]  # fmt: skip
        assert self.rows.keys() <= set(order), self.rows.keys() - set(order)
        lines = ["| of real requests | |", "|---|---|", *(f"| {name} | {self.rows[name]:,} |" for name in order)]
        for severity in Severity:
            total = sum(n for (kind, _), n in self.found.items() if kind == severity.value)
            lines.append(f"| of the linter: {severity.value}s | {total:,} |")
        lines += ["", "| requests without a bid, by reason | |", "|---|---|"]
        lines += [
            f"| `{name}` | {n:,} |" for name, n in sorted(self.reasons.items(), key=lambda one: (-one[1], one[0]))
        ]
        return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.corpus_table", description=__doc__)
    parser.add_argument("--corpus", type=Path, default=corpus_path(), metavar="FILE", help="requests, one a line")
    parser.add_argument("--write", action="store_true", help="into docs/openrtb.md")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        tally = Tally(Path(scratch), args.corpus.read_bytes().splitlines())
    print(tally.markdown())
    for (severity, rule), n in sorted(tally.found.items()):
        print(f"{severity} {rule}: {n}", file=sys.stderr)
    if args.write:
        page = PAGE.read_text(encoding="utf-8")
        before, _, rest = page.partition(BEGIN)
        PAGE.write_text(before + BEGIN + tally.markdown() + END + rest.partition(END)[2], encoding="utf-8")
    return 1 if any(severity == Severity.ERROR.value for severity, _ in tally.found) else 0


if __name__ == "__main__":
    sys.exit(main())
