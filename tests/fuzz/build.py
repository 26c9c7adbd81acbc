"""Where the fuzz loops are compiled: against the extensions as they stand, or against a sanitized copy of them.

The sanitized copy lies in a directory of its own and is built by the project's setup.py with AddressSanitizer,
UndefinedBehaviorSanitizer and coverage feedback; the checkout's own extensions stay as they are.
"""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests import extensions
from tests.extensions import CHECKOUT, NotBuilt

HERE = Path(__file__).resolve().parent
LOOPS = {"fuzz_listener": HERE / "listener.pyx", "fuzz_reader": HERE / "reader.pyx"}
DRIVEN = (
    *("admission", "answers", "backlog", "clock", "framing", "handler", "http", "packing", "peer"),
    *("request", "request_odd", "request_media", "request_native", "consent", "gpp", "tcf"),
)
SANITIZERS = "-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer"
COVERAGE = "-fsanitize-coverage=trace-pc"


def sources() -> list[Path]:
    """Everything that goes into a build."""
    found = [CHECKOUT / "setup.py", *sorted((CHECKOUT / "bidder" / "_fast").glob("*.p[yx][xd]"))]
    found += sorted(path for path in HERE.iterdir() if path.suffix in {".c", ".h", ".pxd", ".pyx"})
    return [*found, HERE / "build.py"]


def build(directory: Path, *, sanitized: bool) -> dict[str, str]:
    """Compile into `directory` unless that is done; the environment in which `fuzz_listener` and `fuzz_reader` import.

    NotBuilt: no compiler, or one without these sanitizers.
    """
    extensions.once(directory, sources(), lambda: _compile(directory, sanitized))
    root = directory if sanitized else CHECKOUT
    environ = {"PYTHONPATH": os.pathsep.join([str(directory), str(root), str(CHECKOUT)])}
    if sanitized:
        environ |= {
            "LD_PRELOAD": _library("libasan.so"),
            "PYTHONMALLOC": "malloc",
            "ASAN_OPTIONS": "detect_leaks=0:abort_on_error=0:allocator_may_return_null=1",
            "UBSAN_OPTIONS": "print_stacktrace=1",
        }
    return os.environ | environ


def _compile(directory: Path, sanitized: bool) -> None:
    library = directory / "liboutbidcoverage.so"
    command = [extensions.compiler(), "-O2", "-Wall", "-shared", "-fPIC", str(HERE / "coverage.c"), "-o", str(library)]
    extensions.run(command, directory)
    environ = os.environ | {
        "LDFLAGS": f"-Wl,--no-as-needed -L{directory} -loutbidcoverage -Wl,-rpath,{directory}",
    }
    root = CHECKOUT
    if sanitized:
        root = directory
        environ |= {"OUTBID_EXTENSIONS": ",".join(DRIVEN), "CFLAGS": f"{SANITIZERS} {COVERAGE}"}
        environ["LDFLAGS"] += f" {SANITIZERS}"
        built = shutil.ignore_patterns("*.so", "*.c", "*.built", "__pycache__")
        shutil.copytree(CHECKOUT / "bidder", directory / "bidder", ignore=built)
        shutil.copy(CHECKOUT / "setup.py", directory)
        shutil.copy(CHECKOUT / "pyproject.toml", directory)
        shutil.copy(CHECKOUT / "README.md", directory)
        shutil.copy(CHECKOUT / "LICENSE", directory)
        extensions.run([sys.executable, "setup.py", "--quiet", "build_ext", "--inplace", "-j2"], directory, environ)
        environ["CFLAGS"] = SANITIZERS  # the loops themselves are not what is covered
    extensions.cythonize(LOOPS, directory, root, environ)


def _library(name: str) -> str:
    found = subprocess.run(
        [extensions.compiler(), f"-print-file-name={name}"], capture_output=True, text=True, check=True
    )
    path = Path(found.stdout.strip())
    if not path.is_absolute():
        raise NotBuilt(f"the compiler has no {name}")
    return str(path.resolve())
