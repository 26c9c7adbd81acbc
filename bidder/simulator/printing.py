"""What a person sees of a play: one line while it goes on, a few when it is over.

Ticker(stream).show(summary, underway) -> a line that is written over, on terminals only
lines(summary) -> text
"""

from collections import Counter
from types import TracebackType
from typing import Self, TextIO

from bidder.money.units import usd_text
from bidder.simulator.summary import Summary


class Ticker:
    """One line on a terminal; silent elsewhere."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._on = stream.isatty()
        self._shown = False

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        if self._shown:
            self._stream.write("\n")
            self._stream.flush()

    def show(self, summary: Summary, underway: tuple[int, int]) -> None:
        """How it goes."""
        if self._on:
            self._shown = True
            self._stream.write(f"\r\x1b[K{progress_line(summary, underway)}")
            self._stream.flush()


def _share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f} %" if whole else "-"


def _listed(counts: Counter[str]) -> str:
    return ", ".join(f"{name}: {n:,}" for name, n in counts.most_common())


def progress_line(summary: Summary, underway: tuple[int, int]) -> str:
    """At most 120 characters or so."""
    total = summary.real.total()
    p99_ms = summary.latency.quantile_us(0.99) / 1_000
    text = (
        f"{summary.seconds:5.1f} s  {summary.sent:,} requests  {total.bids:,} bids  {total.wins:,} wins  "
        f"{total.clicks:,} clicks  ${total.spend_nano_usd / 1e9:.4f}  p99 {p99_ms:.1f} ms"
    )
    if summary.errors:
        text += f"  {summary.errors.total():,} errors"
    return text + f"  under way: {underway[0]:,} + {underway[1]:,} notices"


def lines(summary: Summary) -> list[str]:
    """The summary for people; what went wrong comes last."""
    real, notices, total = summary.real, summary.notices, summary.real.total()
    status = ", ".join(f"{code}: {n:,}" for code, n in sorted(real.status.items()))
    latency, service = summary.latency.document(), summary.service.document()
    rate = f"{summary.sent / (summary.seconds or 1):,.0f}/s for {summary.seconds:.1f} s"
    found = [
        f"requests     {real.requests:,} ({rate}; {status})",
        f"bids         {total.bids:,}",
        f"wins         {total.wins:,} ({_share(total.wins, total.bids)} of bids)",
        f"impressions  {total.impressions:,}",
        f"clicks       {total.clicks:,}",
        f"spend        ${usd_text(total.spend_nano_usd)}",
        "latency      " + ", ".join(f"{name} {ms:.2f}" for name, ms in latency.items()) + " ms from the intended time",
        f"             p50 {service['p50']:.2f}, p99 {service['p99']:.2f} ms from sending",
        f"notices      {notices.sent:,} sent, {notices.acknowledged:,} acknowledged, {notices.repeated:,} tried again",
    ]
    if notices.duplicates or notices.late or notices.forged:
        refused = notices.forged - notices.forged_taken
        found.append(
            f"             {notices.duplicates:,} sent twice, {notices.late:,} late, "
            f"{notices.forged:,} forged, {refused:,} of them refused"
        )
    if summary.test.status:
        test = summary.test.total()
        found.append(f"test         {summary.test.requests:,} requests, {test.bids:,} bids: nothing of them is booked")
    wrong = {
        "no answer": summary.errors,
        "broken rules": summary.invalid,
        "violations": summary.violations,
        "warnings": summary.warnings,
        "refused": notices.refused,
        "given up": notices.abandoned,
        "not on this machine": notices.elsewhere,
        "late answers": Counter({"after the deadline": summary.late}),
        "closed": Counter({"connections": summary.closed_connections}),
        "forged": Counter({"believed": notices.forged_taken}),
    }
    return found + [f"{name:12} {_listed(+counts)}" for name, counts in wrong.items() if counts.total()]
