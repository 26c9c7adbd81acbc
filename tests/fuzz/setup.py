"""Compile the fuzz loops: run by tests/fuzz/build.py in the directory whose bidder/_fast they are to drive."""

import os
import sys
from pathlib import Path

from Cython.Build import cythonize
from Cython.Compiler import Options
from setuptools import Extension, setup

HERE = Path(__file__).resolve().parent
ROOT = Path.cwd()
sys.path.insert(0, str(ROOT))
Options.warning_errors = True

setup(
    name="fuzz",
    packages=[],
    ext_modules=cythonize(
        [
            Extension(
                f"fuzz_{name}",
                [str(HERE / f"{name}.pyx")],
                include_dirs=[str(HERE)],
                extra_compile_args=["-O2", "-g1", "-Wall", "-Wno-unused-function"],
                depends=[str(HERE / "mutation.h")],
            )
            for name in ("listener", "reader")
        ],
        include_path=[str(HERE), str(ROOT)],
        build_dir=os.environ["OUTBID_FUZZ_BUILD"],
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
