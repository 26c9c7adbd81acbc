"""Where the fuzz loops are compiled: against the extensions as they stand, or against a sanitized copy of them.

The sanitized copy lies in a directory of its own and is built by the project's setup.py with AddressSanitizer,
UndefinedBehaviorSanitizer and coverage feedback; the checkout's own extensions stay as they are.
"""

import hashlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
HERE = Path(__file__).resolve().parent
DRIVEN = ("answers", "framing", "handler", "http", "peer", "request", "request_odd")
SANITIZERS = "-fsanitize=address,undefined -fno-sanitize-recover=undefined -fno-omit-frame-pointer"
COVERAGE = "-fsanitize-coverage=trace-pc"


class NotBuilt(Exception):
    """What is missing, for the user."""


def digest() -> str:
    """Of everything that goes into a build."""
    sources = [CHECKOUT / "setup.py", *sorted((CHECKOUT / "bidder" / "_fast").glob("*.p[yx][xd]"))]
    sources += sorted(path for path in HERE.iterdir() if path.suffix in {".c", ".h", ".pxd", ".pyx"})
    sources += [HERE / "build.py", HERE / "setup.py"]
    text = b"\0".join(path.name.encode() + path.read_bytes() for path in sources)
    return hashlib.sha256(text + sys.version.encode()).hexdigest()


def build(directory: Path, *, sanitized: bool) -> dict[str, str]:
    """Compile into `directory` unless that is done; the environment in which `fuzz_listener` and `fuzz_reader` import.

    NotBuilt: no compiler, or one without these sanitizers.
    """
    mark, wanted = directory / "built", digest()
    if not mark.exists() or mark.read_text(encoding="ascii") != wanted:
        shutil.rmtree(directory, ignore_errors=True)
        directory.mkdir(parents=True)
        _compile(directory, sanitized)
        mark.write_text(wanted, encoding="ascii")
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
    compiler = os.environ.get("CC", "cc")
    if shutil.which(compiler) is None:
        raise NotBuilt(f"no C compiler ({compiler})")
    library = directory / "liboutbidcoverage.so"
    _run([compiler, "-O2", "-Wall", "-shared", "-fPIC", str(HERE / "coverage.c"), "-o", str(library)], directory)
    environ = os.environ | {
        "LDFLAGS": f"-Wl,--no-as-needed -L{directory} -loutbidcoverage -Wl,-rpath,{directory}",
        "OUTBID_FUZZ_BUILD": str(directory / "c"),
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
        _run([sys.executable, "setup.py", "--quiet", "build_ext", "--inplace", "-j2"], directory, environ)
        environ["CFLAGS"] = SANITIZERS  # the loops themselves are not what is covered
    command = [sys.executable, str(HERE / "setup.py"), "--quiet", "build_ext", "-j2"]
    _run([*command, "--build-lib", str(directory), "--build-temp", str(directory / "o")], root, environ)


def _run(command: list[str], cwd: Path, environ: dict[str, str] | None = None) -> None:
    done = subprocess.run(command, cwd=cwd, env=environ, capture_output=True, text=True, check=False)
    if done.returncode:
        raise NotBuilt(f"{' '.join(command)} failed:\n{done.stdout[-2000:]}{done.stderr[-4000:]}")


def _library(name: str) -> str:
    found = subprocess.run(
        [os.environ.get("CC", "cc"), f"-print-file-name={name}"], capture_output=True, text=True, check=True
    )
    path = Path(found.stdout.strip())
    if not path.is_absolute():
        raise NotBuilt(f"the compiler has no {name}")
    return str(path.resolve())
