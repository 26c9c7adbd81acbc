"""`outbid stream status|verify|replay`: the durable stream of money events, its archive, and both put to the test.

Exit codes: 0 done, 1 something is wrong (status: notices cannot be taken or booked; verify: damage or a hole).
"""

import argparse
import contextlib
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from bidder.cli.context import CliError, Context
from bidder.cli.context import load as load_context

if TYPE_CHECKING:
    from bidder.events.targets import Target

NAME = "stream"
HELP = "Show, verify or replay the durable stream of money events."
ASK_S = 2.0
_WHAT = {
    "status": "show positions, lag, segments, archive and health",
    "verify": "read every record of spool and archive and check it",
    "replay": "make a spool of archive and spool, for an empty database to be booked from",
}


def configure(parser: argparse.ArgumentParser) -> None:
    """Arguments."""
    kinds = parser.add_subparsers(dest="what", metavar="WHAT", required=True)
    status, verify, replay = (
        kinds.add_parser(what, help=text, description=f"{text[0].upper()}{text[1:]}.") for what, text in _WHAT.items()
    )
    for one in (status, verify):
        one.add_argument("--json", action="store_true", help="print JSON")
    for one in (verify, replay):
        one.add_argument("--stream", metavar="ID", help="of the archive (default: the one of this host's spool)")
    replay.add_argument("--to", type=Path, required=True, metavar="DIR", help="the new spool; must not exist")


def run(args: argparse.Namespace) -> int:
    """One of the three."""
    from bidder.events.stream import StreamError

    context = load_context(args.state)
    try:
        match args.what:
            case "status":
                return _status(context, args.json)
            case "verify":
                return _verify(context, args.stream, args.json)
        return _replay(context, args.stream, args.to)
    except StreamError as error:
        raise CliError(str(error)) from None


def _status(context: Context, as_json: bool) -> int:
    stream = context.settings.stream
    facts: dict[str, Any] = {"backend": stream.backend}
    facts |= _spool(context) if stream.backend == "spool" else _kinesis(context)
    tracker, aggregator = _ask(context.state, "tracker"), _ask(context.state, "aggregator")
    money = None if aggregator is None else aggregator["money"]
    problems = {
        "tracker": "it does not run" if tracker is None else tracker["failure"],
        "aggregator": "it does not run" if money is None else money["problem"],
        "archive": (aggregator or {}).get("spool", {}).get("problem"),
    }
    facts["healthy"] = bool(tracker and tracker["healthy"] and not any(problems.values()))
    facts["problems"] = {who: what for who, what in problems.items() if what}
    if as_json:
        print(json.dumps(facts))
    else:
        for key, value in facts.items():
            for line in _lines(value):
                print(f"{key:<14} {line}")
    return 0 if facts["healthy"] else 1


def _lines(value: object) -> list[str]:
    if isinstance(value, dict):
        return [f"{key}: {said}" for key, said in value.items()]
    return ["none" if value is None else str(value)]


def _spool(context: Context) -> dict[str, Any]:
    """What lies on the disk, and how far it is booked."""
    from bidder.events import archive
    from bidder.events.segments import segments
    from bidder.events.spool import SpoolReader
    from bidder.events.targets import target_of

    directory = context.state / "spool"
    reader = SpoolReader(directory)
    found = segments(directory)
    booked, lag_s = _booked(context, reader.id)
    target = target_of(context.settings.stream)
    kept = [] if target is None else archive.kept(target, reader.id)
    return {
        "stream": reader.id,
        "durable": reader.durable,
        "booked": booked,
        "lag_bytes": None if booked is None else reader.durable - booked,
        "lag_s": lag_s,
        "segments": len(found),
        "bytes": sum(segment.end - segment.start for segment in found),
        "oldest_s": round(time.time() - found[0].path.stat().st_mtime) if found else None,
        "archive": None
        if target is None
        else {"where": target.where, "segments": len(kept), "through": kept[-1][1] if kept else 0},
    }


def _kinesis(context: Context) -> dict[str, Any]:
    """How far each shard is booked; what is in them only Kinesis knows."""
    name = f"kinesis/{context.settings.stream.kinesis_stream}"
    shards = _rows(context, "SELECT shard, sequence::text, ended FROM report.shard_status WHERE stream = %s", name)
    return {
        "stream": name,
        "lag_s": _booked(context, name)[1],
        "shards": {shard: f"{sequence}{' (ended)' if ended else ''}" for shard, sequence, ended in sorted(shards)},
    }


def _booked(context: Context, stream: str) -> tuple[int | None, float | None]:
    """Position in Postgres, and how many seconds ago nothing was missing; None where Postgres cannot say."""
    rows = _rows(context, "SELECT position, lag_s::float FROM report.data_status WHERE name = %s", stream)
    return rows[0] if rows else (None, None)


def _rows(context: Context, sql: str, name: str) -> list[tuple[Any, ...]]:
    """No rows where Postgres is away: the rest is told all the same."""
    import psycopg2

    try:
        connection = psycopg2.connect(context.analyst_dsn or context.dsn, connect_timeout=2)
        with contextlib.closing(connection), connection.cursor() as cursor:
            cursor.execute(sql, (name,))
            return list(cursor.fetchall())
    except psycopg2.Error:
        return []


def _ask(state: Path, role: str) -> dict[str, Any] | None:
    from bidder.ops.control import ControlError, ask

    with contextlib.suppress(ControlError):
        return ask(state / "run" / f"{role}.sock", {"do": "health"}, ASK_S)
    return None


def _stream_id(context: Context, named: str | None) -> str:
    from bidder.events.segments import read_id

    if context.settings.stream.backend != "spool":
        raise CliError("only a spool is kept here; Kinesis keeps its streams itself")
    return named or read_id(context.state / "spool")


def _verify(context: Context, named: str | None, as_json: bool) -> int:
    from bidder.events.archive import Damage
    from bidder.events.targets import target_of

    stream = _stream_id(context, named)
    target = target_of(context.settings.stream)
    sums = {"segments": 0, "notices": 0, "archived": 0}
    damages: list[str] = []
    for what in _checked(context.state / "spool", target, stream):
        if isinstance(what, Damage):
            damages.append(str(what))
        else:
            part, notices = what
            sums[part] += 1
            sums["notices"] += notices if part == "segments" else 0
    if as_json:
        print(json.dumps({"stream": stream, **sums, "damages": damages}))
    else:
        print(
            f"stream {stream}: {sums['segments']} segments with {sums['notices']} notices, {sums['archived']} archived"
        )
        for damage in damages:
            print(damage)
    return 1 if damages else 0


def _checked(spool: Path, target: "Target | None", stream: str) -> Iterator[Any]:
    """("segments" or "archived", notices) of each that is sound, Damage of each that is not."""
    from bidder.events import archive
    from bidder.events.segments import records

    for segment in archive.in_spool(spool, stream):
        try:
            yield "segments", sum(1 for _ in records(archive.read_segment(segment)))
        except archive.Damage as damage:
            yield damage
    if target is not None:
        for found in archive.verify(target, stream):
            yield found if isinstance(found, archive.Damage) else ("archived", found.notices)


def _replay(context: Context, named: str | None, directory: Path) -> int:
    from bidder.events import archive
    from bidder.events.targets import target_of

    stream = _stream_id(context, named)
    if directory.exists():
        raise CliError(f"{directory}: it exists already")
    pieces = archive.pieces(target_of(context.settings.stream), stream, context.state / "spool")
    begin, end = archive.rebuild(pieces, stream, directory)
    print(f"{directory}: stream {stream} from {begin} to {end}; an aggregator of a state directory with it as `spool`,")
    print("on a database that has not booked it, books all of it")
    return 0
