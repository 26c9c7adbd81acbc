"""`scripts/bench`: one bench by its name, or what there is.

Every module of this package with `main(arguments) -> int` is a bench; its docstring's first line says what it shows.
"""

import ast
import importlib
import sys
from pathlib import Path


def benches() -> dict[str, str]:
    """Name -> what it shows."""
    found = {}
    for path in sorted(Path(__file__).parent.glob("*.py")):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if path.stem != "__main__" and any(isinstance(n, ast.FunctionDef) and n.name == "main" for n in tree.body):
            found[path.stem] = (ast.get_docstring(tree) or "").partition("\n")[0]
    return found


def run(arguments: list[str]) -> int:
    """What the command line asks for."""
    known = benches()
    if arguments and arguments[0] in known:
        bench = importlib.import_module(f"tests.bench.{arguments[0]}")
        code: int = bench.main(arguments[1:])
        return code
    print("usage: scripts/bench NAME [--help] [ARGUMENTS]\n")
    for name, what in known.items():
        print(f"  {name:<10} {what}")
    print("\nFigures and how they were measured: docs/benchmarks.md")
    return 0 if not arguments or arguments[0] in ("-h", "--help") else 2


if __name__ == "__main__":
    sys.exit(run(sys.argv[1:]))
