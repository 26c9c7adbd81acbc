"""`scripts/fuzz`: run a fuzz target, with sanitizers and coverage feedback, until a finding or the end.

A finding stays in build/fuzz/findings/, named by its content; `--replay FILE` runs such a file alone.
"""

import argparse
import hashlib
import importlib
import mmap
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests import extensions
from tests.fuzz import build

BUILT = extensions.CHECKOUT / "build" / "fuzz"
LAST_BYTES = 128 * 1024
FOREVER = 2**62


def parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="scripts/fuzz", description=__doc__)
    parser.add_argument("target", choices=["listener", "reader"])
    parser.add_argument("--executions", type=int, help="stop after so many (default: 100,000, or none with --seconds)")
    parser.add_argument("--seconds", type=float, help="stop after so long")
    parser.add_argument("--seed", type=int, default=1, help="the same seed gives the same inputs")
    parser.add_argument(
        "--oracle-every", type=int, default=500, help="share that is read a second time, slowly; 0: none"
    )
    parser.add_argument("--replay", type=Path, metavar="FILE", help="this input alone and unchanged, cut in many ways")
    parser.add_argument("--plain", action="store_true", help="without sanitizers: the extensions as they stand")
    parser.add_argument("--last", type=Path, help=argparse.SUPPRESS)  # set where the loop runs
    return parser


def main() -> int:
    """Build, run the loop in a process of its own, keep what it stumbled over."""
    args = parser().parse_args()
    if args.last:
        return loop(args)
    try:
        environ = build.build(BUILT / ("plain" if args.plain else "sanitized"), sanitized=not args.plain)
    except extensions.NotBuilt as missing:
        print(f"fuzz: cannot build: {missing}", file=sys.stderr)
        return 2
    with tempfile.NamedTemporaryFile(prefix="last-", dir=BUILT) as last:
        last.write(bytes(LAST_BYTES))
        last.flush()
        command = [sys.executable, "-m", "tests.fuzz.run", *sys.argv[1:], "--last", last.name]
        code = subprocess.run(command, cwd=BUILT, env=environ, check=False).returncode
        if code not in (0, 130):
            print(f"fuzz: finding, kept as {keep(args.target, Path(last.name))}", file=sys.stderr)
            return 1
    return code


def keep(target: str, last: Path) -> Path:
    """Of the file that holds the last input, a file of its own."""
    text = input_in(last)
    findings = BUILT / "findings"
    findings.mkdir(exist_ok=True)
    found = findings / f"{target}-{hashlib.sha256(text).hexdigest()[:12]}"
    found.write_bytes(text)
    return found


def input_in(last: Path) -> bytes:
    """That the loop was at: eight bytes of length, then the text."""
    raw = last.read_bytes()
    return raw[8 : 8 + int.from_bytes(raw[:8], sys.byteorder)]


def loop(args: argparse.Namespace) -> int:
    """In the sanitized process: the compiled loop, and a line now and then."""
    from tests.fuzz import oracles, seeds  # here: they import the extensions that are under test

    module: Any = importlib.import_module(f"fuzz_{args.target}")
    oracle: Callable[..., None] = getattr(oracles, args.target)
    start, said = time.monotonic(), 0.0

    def progress(executions: int, pool: int, edges: int) -> None:
        nonlocal said
        passed = time.monotonic() - start
        if passed - said >= 10 or executions in (0, args.executions):
            said = passed
            rate = executions / passed if passed > 0.1 else 0
            print(f"{executions:>12,} executions, {rate:>9,.0f}/s, {edges:,} edges, {pool:,} inputs", flush=True)

    executions = args.executions or (FOREVER if args.seconds else 100_000)
    words = getattr(seeds, f"{args.target.upper()}_WORDS")
    pool = getattr(seeds, f"{args.target}_seeds")()
    if args.replay:
        pool, words = [args.replay.read_bytes()], []
    with args.last.open("r+b") as file, mmap.mmap(file.fileno(), LAST_BYTES) as last:
        view = memoryview(last)
        try:
            done = module.run(
                pool, words, view, seed=args.seed, executions=executions, seconds=args.seconds or float(FOREVER),
                oracle_every=args.oracle_every, oracle=oracle, progress=progress,
            )  # fmt: skip
        except KeyboardInterrupt:
            return 130
        finally:
            view.release()
    print(f"{done:,} executions in {time.monotonic() - start:.0f} s without a finding")
    return 0


if __name__ == "__main__":
    sys.exit(main())
