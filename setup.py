"""Build the compiled leaf: every `bidder/_fast/*.pyx` becomes one extension.

`OUTBID_EXTENSIONS=http,request` builds only those (for work on one of them);
`OUTBID_PROFILE=dev` trades speed of the result for speed of the build.
"""

import os
from pathlib import Path

from Cython.Build import cythonize
from Cython.Compiler import Options
from setuptools import Extension, setup

Options.warning_errors = True

ROOT = Path(__file__).parent
LIBRARIES = {"tokens": ["crypto"]}
DEV = os.environ.get("OUTBID_PROFILE") == "dev"
FLAGS = ["-O1" if DEV else "-O3", "-g1", "-fno-semantic-interposition", "-Wall", "-Wno-unused-function"]


def extensions() -> list[Extension]:
    wanted = os.environ.get("OUTBID_EXTENSIONS")
    names = sorted(p.stem for p in (ROOT / "bidder" / "_fast").glob("*.pyx"))
    if wanted:
        chosen = wanted.split(",")
        unknown = set(chosen) - set(names)
        if unknown:
            raise SystemExit(f"OUTBID_EXTENSIONS names {sorted(unknown)}, which bidder/_fast does not have: {names}")
        names = chosen
    return [
        Extension(
            f"bidder._fast.{name}",
            [f"bidder/_fast/{name}.pyx"],
            libraries=LIBRARIES.get(name, []),
            extra_compile_args=FLAGS,
        )
        for name in names
    ]


setup(
    ext_modules=cythonize(
        extensions(),
        compiler_directives={
            "language_level": "3",
            "boundscheck": False,
            "wraparound": False,
            "cdivision": True,
            "initializedcheck": False,
            "embedsignature": False,
        },
        nthreads=int(os.environ.get("BUILD_JOBS", os.cpu_count() or 1)),
    )
)
