"""Compile the tests' own Cython: run by tests/extensions.py in the directory whose bidder/_fast it is to see."""

import os
import sys
from pathlib import Path

from Cython.Build import cythonize
from Cython.Compiler import Options
from setuptools import Extension, setup

ROOT = Path.cwd()
MODULES = dict(module.split("=", 1) for module in os.environ["OUTBID_TEST_MODULES"].split(os.pathsep))
HOMES = sorted({str(Path(source).parent) for source in MODULES.values()})
sys.path.insert(0, str(ROOT))
Options.warning_errors = True

setup(
    name="tests",
    packages=[],
    ext_modules=cythonize(
        [
            Extension(
                name,
                [source],
                include_dirs=HOMES,
                extra_compile_args=["-O2", "-g1", "-Wall", "-Wno-unused-function"],
            )
            for name, source in MODULES.items()
        ],
        include_path=[*HOMES, str(ROOT)],
        build_dir=os.environ["OUTBID_TEST_C"],
        force=True,
        compiler_directives={
            "language_level": "3",
            "boundscheck": False,
            "wraparound": False,
            "cdivision": True,
            "initializedcheck": False,
        },
    ),
)
