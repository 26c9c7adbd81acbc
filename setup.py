"""Build the compiled leaf: every `bidder/_fast/*.pyx` becomes one extension.

`OUTBID_EXTENSIONS=http,request` builds only those (for work on one of them), `none` none at all;
`OUTBID_PROFILE=dev` trades speed of the result for speed of the build; `training` counts what is done where, and
`trained` compiles for what was counted (gcc): see `scripts/build --trained`.
In place, each leaves `<name>.built` beside it, by which bidder/_fast/freshness.py sees stale ones.
"""

import os
import sys
import sysconfig
from pathlib import Path

from Cython.Build import cythonize
from Cython.Compiler import Options
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).resolve().parent
sys.path.insert(0, str(ROOT))
from bidder._fast import freshness  # noqa: E402

Options.warning_errors = True

FAST = ROOT / "bidder" / "_fast"
LIBRARIES = {"tokens": ["crypto"], "identity": ["crypto"]}
COUNTS = ROOT / "build" / "training"
PROFILES = {
    "": ["-O3"],
    "dev": ["-O1"],
    "training": ["-O3", f"-fprofile-generate={COUNTS}"],
    # With profiles, gcc doubts Cython's tables of argument names.
    "trained": ["-O3", f"-fprofile-use={COUNTS}", "-Wno-missing-profile", "-Wno-maybe-uninitialized"],
}  # fmt: skip
# As ever in a trained build, too: with a profile it takes fewer instructions, but no longer fits into the first cache.
UNTRAINED = {"request"}
PROFILE = os.environ.get("OUTBID_PROFILE", "")
if PROFILE not in PROFILES:
    raise SystemExit(f"OUTBID_PROFILE={PROFILE}: one of {', '.join(filter(None, PROFILES))}, or nothing")
FLAGS = ["-g1", "-fno-semantic-interposition", "-Wall", "-Wno-unused-function"]
LINKING = ["-fprofile-generate"] if PROFILE == "training" else []


def extensions() -> list[Extension]:
    wanted = os.environ.get("OUTBID_EXTENSIONS")
    names = sorted(p.stem for p in FAST.glob("*.pyx"))
    if wanted == "none":
        return []
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
            extra_compile_args=[*PROFILES["" if PROFILE == "trained" and name in UNTRAINED else PROFILE], *FLAGS],
            extra_link_args=LINKING,
        )
        for name in names
    ]


class BuildExtensions(build_ext):
    """Marks what is in place with the digest of the sources, read before the compiler read them, and with the profile
    of the run that compiled it: what is newer than its sources is left as it is."""

    def run(self) -> None:
        before = {name: _written_ns(name) for name in DIGESTS}
        super().run()
        if self.inplace:
            for name, digest in DIGESTS.items():
                compiled = _written_ns(name) != before[name]
                freshness.mark_built(name, digest, PROFILE if compiled else freshness.profile_of(name))


def _written_ns(name: str) -> int:
    """When the extension was; 0: never."""
    path = freshness.HERE / f"{name}{sysconfig.get_config_var('EXT_SUFFIX')}"
    return path.stat().st_mtime_ns if path.exists() else 0


EXTENSIONS = extensions()
DIGESTS = {name: freshness.digest(name) for name in (extension.name.rpartition(".")[2] for extension in EXTENSIONS)}
for stale in set(freshness.unbuilt()) & set(DIGESTS):
    # Times of files do not tell after a checkout or a copy: without its .c, what is stale by content is compiled anew.
    (FAST / f"{stale}.c").unlink(missing_ok=True)

setup(
    cmdclass={"build_ext": BuildExtensions},
    ext_modules=cythonize(
        EXTENSIONS,
        compiler_directives={
            "language_level": "3",
            "boundscheck": False,
            "wraparound": False,
            "cdivision": True,
            "initializedcheck": False,
            "embedsignature": False,
        },
        nthreads=int(os.environ.get("BUILD_JOBS", os.cpu_count() or 1)),
    ),
)
