"""`outbid experiment start|list|status|stop|remove`: parts of the traffic with other features, and what comes of it."""

import argparse
import dataclasses
import json
import math
import re
import sys
import time
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from bidder.cli.context import CliError, Context, postgres
from bidder.cli.context import load as load_context

if TYPE_CHECKING:
    from psycopg2.extensions import connection as Connection

    from bidder.canary.judge import Finding
    from bidder.canary.second import Second
    from bidder.controller.experiments import Arm, Experiment, Minute, Wanted

NAME = "experiment"
HELP = "Give parts of the traffic other features, and compare what comes of them."
ID = re.compile(r"[a-z0-9][a-z0-9._-]{0,39}")
SERVED_S = 10.0


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments of every action."""
    from bidder.features import NAMES

    actions = parser.add_subparsers(dest="action", metavar="ACTION", required=True)

    def action(name: str, text: str, named: bool = True) -> argparse.ArgumentParser:
        made = actions.add_parser(name, help=text[0].lower() + text[1:-1], description=text)
        if named:
            made.add_argument("name", help="of the experiment")
        made.add_argument("--json", action="store_true", help="print JSON")
        return made

    begin = action("start", "Begin an experiment; returns when the workers of this host are in it.")
    begin.add_argument(
        "--arm",
        action="append",
        required=True,
        metavar="NAME=SHARE[,FEATURE=off|on]...",
        help="as control=10%% or new=10%%,shading=off; at least two; the others are compared with the first one. "
        f"Features: {', '.join(NAMES)}; on is the default",
    )
    action("list", "All experiments, and the parts of the traffic that they have.", named=False)
    action("status", "The arms of an experiment, and how they differ from its first one.")
    action("stop", "End an experiment; its figures stay in the reports.")
    action("remove", "Forget a stopped experiment of which reports have no figures any more; others get its keys.")


def run(args: argparse.Namespace) -> int:
    """Do it; after a change, return when it is served."""
    from bidder.controller import experiments
    from bidder.ops.audit import AuditTrail, actor

    wanted = _wanted(args.name, args.arm) if args.action == "start" else []
    context = load_context(args.state)
    with postgres(context, NAME) as db:
        match args.action:
            case "list":
                return _list(experiments.all_of(db), args.json)
            case "status":
                return _status(db, args.name, args.json)
            case "start":
                revision = experiments.start(db, args.name, wanted)
            case "stop":
                revision = experiments.stop(db, args.name)
            case _:
                experiments.remove(db, args.name)
                revision = 0
    arms = {arm.name: {"buckets": arm.buckets, "off": arm.off} for arm in wanted}
    AuditTrail(context.state).record(actor(), f"experiment {args.action}", args.name, arms=arms, revision=revision)
    served = not revision or _served(context, revision)
    if args.json:
        print(json.dumps({"experiment": args.name, "done": args.action, "revision": revision, "served": served}))
    else:
        print(f"{args.name}: {'removed' if not revision else args.action + ('ped' if args.action == 'stop' else 'ed')}")
    return 0


def _wanted(name: str, arms: Sequence[str]) -> "list[Wanted]":
    """The arms as they were typed; CliError names what is wrong with one."""
    from bidder.controller.experiments import Wanted
    from bidder.features import mask_of

    if not ID.fullmatch(name):
        raise CliError(
            f"name: up to 40 of a-z, 0-9, '.', '_' and '-' are wanted, beginning with a letter or digit: {name!r}"
        )
    found: list[Wanted] = []
    for text in arms:
        arm, _, rest = text.partition("=")
        share, *words = rest.split(",")
        if not ID.fullmatch(arm) or any(known.name == arm for known in found):
            raise CliError(f"--arm {text}: a name of its own is wanted before =")
        if not re.fullmatch(r"\d{1,3}(\.\d{1,2})?%", share) or not 0 < float(share[:-1]) <= 100:
            raise CliError(f"--arm {text}: {share!r} is no share; 10% or 0.25% is one, in steps of 0.01%")
        off = []
        for word in words:
            feature, _, position = word.partition("=")
            if position not in ("on", "off"):
                raise CliError(f"--arm {text}: {word!r} is not FEATURE=on or FEATURE=off")
            try:
                mask_of([feature])
            except ValueError as error:
                raise CliError(f"--arm {text}: {error}") from None
            if position == "off":
                off.append(feature)
        found.append(Wanted(arm, round(float(share[:-1]) * 100), tuple(off)))
    if len(found) < 2:
        raise CliError("an experiment has at least two arms: --arm control=10% --arm new=10%,shading=off")
    return found


def _served(context: Context, revision: int) -> bool:
    """True when every worker of this host has it; False, and a line that says why, where that takes too long."""
    from bidder.ops.control import ControlError, ask

    deadline, last = time.monotonic() + SERVED_S, ""
    while time.monotonic() < deadline:
        try:
            answer = ask(context.state / "run" / "supervisor.sock", {"do": "serving"}, 2.0)
            if answer["revision"] >= revision:
                return True
            last = f"workers serve revision {answer['revision']}"
        except ControlError as error:
            last = str(error)
        time.sleep(0.05)
    print(
        f"outbid experiment: saved as revision {revision}, but not served after {SERVED_S:g} s: {last}", file=sys.stderr
    )
    return False


def _document(experiment: "Experiment") -> dict[str, Any]:
    document = dataclasses.asdict(experiment)
    times = {"began": experiment.began, "ended": experiment.ended}
    return document | {name: at and at.isoformat() for name, at in times.items()}


def _list(found: "list[Experiment]", as_json: bool) -> int:
    if as_json:
        print(json.dumps([_document(one) for one in found]))
        return 0
    print(f"{'experiment':<24} {'began (UTC)':<17} {'ended (UTC)':<17} arms")
    for one in found:
        print(f"{one.name:<24} {_minute(one.began):<17} {_minute(one.ended):<17} {'; '.join(map(_arm, one.arms))}")
    return 0


def _minute(at: datetime | None) -> str:
    from datetime import UTC

    return "runs" if at is None else f"{at.astimezone(UTC):%Y-%m-%d %H:%M}"


def _arm(arm: "Arm") -> str:
    off = f" without {', '.join(arm.off)}" if arm.off else ""
    return f"{arm.name} {arm.buckets / 100:g}%{off}"


def _status(db: "Connection", name: str, as_json: bool) -> int:
    from bidder.canary.comparison import compare
    from bidder.controller import experiments

    with db, db.cursor() as cursor:
        experiment = experiments.one(cursor, name)
    minutes = experiments.figures(db, experiment)
    first, *others = experiment.arms
    totals = {arm.key: _total(minutes, arm.key) for arm in experiment.arms}
    found = {
        arm.name: compare(
            ((_second(of.get(arm.key)), _second(of.get(first.key))) for of in minutes.values()), len(others)
        )
        for arm in others
    }
    if as_json:
        arms = {
            arm.name: dataclasses.asdict(arm) | totals[arm.key] | {"against_first": _plain(found.get(arm.name, []))}
            for arm in experiment.arms
        }
        print(json.dumps(_document(experiment) | {"arms": arms, "minutes": len(minutes)}))
        return 0
    print(
        f"{experiment.name}: since {_minute(experiment.began)} UTC, {_minute(experiment.ended)}; {len(minutes)} minutes"
    )
    print(f"{'arm':<24} {'requests':>12} {'bids':>12} {'wins':>10} {'spend USD':>14}")
    for arm in experiment.arms:
        of = totals[arm.key]
        print(f"{_arm(arm):<24} {of['requests']:>12,} {of['bids']:>12,} {of['wins']:>10,} {of['spend_usd']:>14}")
    for arm in others:
        print(f"{arm.name} against {first.name}:")
        for finding in found[arm.name]:
            print(f"  {_words(finding)}")
    return 0


def _total(minutes: "Mapping[datetime, Mapping[int, Minute]]", key: int) -> dict[str, Any]:
    from bidder.controller.experiments import Minute
    from bidder.money.units import usd_text

    own = [of.get(key, Minute()) for of in minutes.values()]
    spent = sum(minute.spent for minute in own)
    return {
        "requests": sum(minute.requests for minute in own),
        "bids": sum(minute.bids for minute in own),
        "wins": sum(minute.wins for minute in own),
        "spend_nano_usd": spent,
        "spend_usd": usd_text(spent),
    }


def _second(minute: "Minute | None") -> "Second":
    from bidder.canary.second import Second

    if minute is None:
        return Second()
    filled = minute.requests - minute.unfilled
    return Second(requests=minute.requests, filled=filled, bids=minute.bids, wins=minute.wins, spent=minute.spent)


def _words(finding: "Finding") -> str:
    if not math.isfinite(finding.low):
        return f"{finding.measure:<28} {finding.canary:>10.4g} to {finding.baseline:.4g}: open, too little was seen"
    return (
        f"{finding.measure:<28} {finding.canary:>10.4g} to {finding.baseline:.4g}: {finding.says}, the difference is "
        f"{finding.low:+.3g} to {finding.high:+.3g}"
    )


def _plain(findings: "Sequence[Finding]") -> list[dict[str, Any]]:
    return [
        {key: value if not isinstance(value, float) or math.isfinite(value) else None for key, value in one.items()}
        for one in (finding._asdict() for finding in findings)
    ]
