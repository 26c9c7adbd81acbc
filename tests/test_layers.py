"""The architecture as a test: imports run one way, rooms stay small, packages stay plain.

Every import counts, also one inside a function; a room that is not in the table has no place yet.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]
PACKAGES = ("bidder", "aggregator", "reporting")

# Who may import whom, from the ground up. A room is `bidder.<name>`, or a package of its own, but for these:
INNER = {"bidder.openrtb.exchanges"}  # plain data, that the settings begin with
GROUND = {
    "bidder.outcome",
    "bidder.features",
    "bidder.settings",
    "bidder.openrtb.exchanges",
    "bidder.builds",
    "bidder.reload",
}
LEAF = GROUND | {"bidder._fast"}
SHARED = LEAF | {"bidder.ops", "bidder.money", "bidder.events", "bidder.openrtb"}
DOMAIN = SHARED | {"bidder.cache", "bidder.users", "bidder.campaigns"}
PARTS = DOMAIN | {
    "bidder.telemetry",
    "bidder.tornado_bridge",
    "bidder.listener",
    "bidder.pipeline",
    "bidder.spot_check",
    "bidder.passing",
    "bidder.workers",
    "bidder.embedded",
}
MAY_IMPORT: dict[str, set[str]] = {
    "bidder.outcome": set(),
    "bidder.features": set(),
    "bidder.sections": {"bidder.openrtb.exchanges"},
    "bidder.settings": {"bidder.openrtb.exchanges", "bidder.sections"},
    "bidder.builds": set(),
    "bidder.reload": {"bidder.settings"},
    "bidder.openrtb.exchanges": set(),
    "bidder._fast": {"bidder.outcome"},
    "bidder.embedded": set(),
    "bidder.ops": LEAF,
    "bidder.money": LEAF | {"bidder.ops"},
    "bidder.events": LEAF | {"bidder.ops", "bidder.money"},
    "bidder.openrtb": LEAF | {"bidder.money"},
    "bidder.cache": SHARED,
    "bidder.users": SHARED | {"bidder.cache"},
    "bidder.campaigns": SHARED | {"bidder.cache", "bidder.embedded"},
    "bidder.tracking": DOMAIN,
    "bidder.controller": DOMAIN,
    "bidder.canary": DOMAIN,
    "bidder.explain": DOMAIN,
    "bidder.gateway": DOMAIN,
    "bidder.telemetry": SHARED,
    "bidder.tornado_bridge": LEAF,
    "bidder.admission": set(),
    "bidder.listener": LEAF | {"bidder.admission", "bidder.tornado_bridge", "bidder.ops"},
    "bidder.pipeline": DOMAIN,
    "bidder.spot_check": GROUND | {"bidder.openrtb", "bidder.ops"},
    "bidder.workers": LEAF | {"bidder.ops", "bidder.embedded"},
    "bidder.passing": {"bidder.ops"},
    "bidder.readiness": PARTS,
    "bidder.restart": PARTS,
    "bidder.renewals": PARTS | {"bidder.restart"},
    "bidder.tracker_watch": {"bidder.ops"},
    "bidder.arms": PARTS | {"bidder.canary", "bidder.restart"},
    "bidder.handover": GROUND,
    "bidder.service": {"bidder.ops", "bidder.workers"},
    "bidder.worker": PARTS | {"bidder.canary"},
    "bidder.supervisor": PARTS
    | {"bidder.arms", "bidder.restart", "bidder.handover", "bidder.service", "bidder.renewals", "bidder.tracker_watch"},
    "bidder.doors": GROUND | {"bidder.ops"},
    "bidder.host": GROUND | {"bidder.ops", "bidder.embedded", "bidder.doors"},
    # It stands for an exchange: it meets the bidder on the wire and shares words with it, not rooms.
    "bidder.simulator": GROUND | {"bidder.ops", "bidder.money", "bidder.openrtb", "bidder.embedded"},
    "aggregator": GROUND | {"bidder.events", "bidder.money", "bidder.openrtb", "bidder.ops"},
    "reporting": GROUND | {"bidder.events", "bidder.money", "bidder.openrtb", "bidder.ops"},
    "bidder.__main__": {"bidder.cli", "bidder._fast"},
}
MAY_IMPORT_ALL = {"bidder.cli"}  # one verb a file, each importing what it starts
OF_OPENRTB_WITHOUT_THE_WIRE = "bidder.openrtb.codes"  # all that aggregator and reporting need of it

LONGEST = 450  # lines; a room is about 200, a .pyx about 400
MERGE = re.compile("(<{7}|>{7}) ")
NAMELESS = {"utils", "util", "helpers", "helper", "common", "misc", "manager"}
CIMPORT = re.compile(r"^\s*(?:from\s+([\w.]+)\s+c?import\s+([\w, *]+)|c?import\s+([\w.]+))", re.MULTILINE)


def sources(*suffixes: str) -> list[Path]:
    return sorted(path for package in PACKAGES for path in (CHECKOUT / package).rglob("*") if path.suffix in suffixes)


def imports(path: Path) -> Iterator[str]:
    """Dotted names that a file imports; `from a import b` counts as a.b, for b may be a module."""
    if path.suffix in {".pyx", ".pxd"}:
        for module, names, plain in CIMPORT.findall(path.read_text()):
            if plain:
                yield plain
            else:
                yield from (f"{module}.{name.split()[0]}" for name in names.split(",") if name.strip())
        return
    for node in ast.walk(ast.parse(path.read_text(), str(path))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def room_of(name: str) -> str | None:
    """`bidder.money.units.NanoUsd` -> `bidder.money`; None where it is not ours."""
    parts = name.split(".")
    if parts[0] == "bidder":
        inner = ".".join(parts[:3])
        return inner if inner in INNER else ".".join(parts[:2])
    return parts[0] if parts[0] in PACKAGES else None


def home_of(path: Path) -> str:
    parts = path.relative_to(CHECKOUT).with_suffix("").parts
    return room_of(".".join(parts)) or parts[0]


def place(path: Path) -> str:
    return str(path.relative_to(CHECKOUT))


def test_imports_run_one_way() -> None:
    wrong = []
    for path in sources(".py", ".pyx", ".pxd"):
        home = home_of(path)
        if home in MAY_IMPORT_ALL or home == "bidder.__init__":
            continue
        if home not in MAY_IMPORT:
            wrong.append(f"{place(path)}: the room {home} has no place in the table MAY_IMPORT")
            continue
        for name in imports(path):
            room = room_of(name)
            if room is not None and room != home and room not in MAY_IMPORT[home]:
                wrong.append(f"{place(path)} imports {name}; {home} may import {sorted(MAY_IMPORT[home]) or 'nothing'}")
    assert not wrong, "\n" + "\n".join(wrong)


def test_the_table_itself_has_no_cycle() -> None:
    def below(room: str, path: tuple[str, ...]) -> None:
        assert room not in path, f"cycle: {' -> '.join((*path, room))}"
        for lower in MAY_IMPORT.get(room, ()):
            below(lower, (*path, room))

    for room in MAY_IMPORT.keys() - {"bidder.__main__"}:
        below(room, ())


@pytest.mark.parametrize("package", ["aggregator", "reporting"])
def test_postgres_side_takes_only_codes_from_openrtb(package: str) -> None:
    wrong = [
        f"{place(path)} imports {name}"
        for path in sources(".py")
        for name in imports(path)
        if home_of(path) == package and name.startswith("bidder.openrtb.")
        if not name.startswith(OF_OPENRTB_WITHOUT_THE_WIRE)
    ]
    assert not wrong, "\n".join(wrong)


def test_the_linter_knows_nothing_of_what_bids() -> None:
    own = "bidder.openrtb.lint"
    wrong = [
        f"{place(path)} imports {name}"
        for path in (CHECKOUT / "bidder" / "openrtb" / "lint").rglob("*.py")
        for name in imports(path)
        if room_of(name) is not None and not f"{name}.".startswith(f"{own}.")
    ]
    assert not wrong, "\n".join(wrong)


def test_money_has_no_sql() -> None:
    wrong = [
        f"{place(path)} imports {name}"
        for path in sources(".py", ".pyx")
        for name in imports(path)
        if home_of(path) == "bidder.money" and name.split(".")[0] in {"psycopg2", "sqlite3"}
    ]
    assert not wrong, "\n".join(wrong)


def test_compiled_rooms_name_their_neighbours_in_full() -> None:
    """`from bidder._fast.x cimport y`: by that spelling a stale extension is found out."""
    short = re.compile(r"^\s*from\s+bidder\._fast\s+cimport", re.MULTILINE)
    assert not [place(path) for path in sources(".pyx", ".pxd") if short.search(path.read_text())]


def test_every_compiled_room_has_its_manual_and_says_what_it_is() -> None:
    wrong = []
    for path in sources(".pyx"):
        if not path.with_suffix(".pyi").exists():
            wrong.append(f"{place(path)} has no .pyi")
        code = [line for line in path.read_text().splitlines() if line.strip() and not line.startswith("#")]
        if not code[0].startswith('"""'):
            wrong.append(f"{place(path)} does not begin with a docstring")
    assert not wrong, "\n".join(wrong)


def test_package_files_hold_a_docstring_and_what_they_pass_on() -> None:
    wrong = []
    for path in sources(".py"):
        if path.name == "__init__.py":
            first, *rest = ast.parse(path.read_text()).body or [None]
            passes_on = all(isinstance(node, ast.Import | ast.ImportFrom | ast.Assign) for node in rest)
            if not isinstance(first, ast.Expr) or not passes_on:
                wrong.append(place(path))
    assert not wrong, f"a docstring, then re-exports only: {wrong}"


def test_rooms_are_small_and_have_names() -> None:
    files = sources(".py", ".pyx", ".pxd", ".pyi")
    files += [path for path in sorted((CHECKOUT / "tests").rglob("*.py")) if "generated" not in path.parts]
    lengths = {place(path): len(path.read_text().splitlines()) for path in files}
    long = [f"{name}: {length} lines" for name, length in lengths.items() if length > LONGEST]
    nameless = [name for name in lengths if Path(name).stem in NAMELESS]
    assert not long + nameless, "\n" + "\n".join(long + nameless)


def test_no_file_is_left_in_the_middle_of_a_merge() -> None:
    kept = [*sources(".py", ".pyx", ".pxd", ".pyi"), *CHECKOUT.glob("*.md"), *(CHECKOUT / "docs").glob("*.md")]
    kept += [path for path in sorted((CHECKOUT / "tests").rglob("*.py")) if "generated" not in path.parts]
    marks = [f"{place(path)}: {line}" for path in kept for line in path.read_text().splitlines() if MERGE.match(line)]
    assert marks == []
