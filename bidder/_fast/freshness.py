"""Are the compiled extensions those of the sources beside them?

setup.py writes `<name>.built`, the digest of what it compiled; check() compares. It costs about
2 ms at the start of a program. An installed package has no setup.py and nothing to check.
Run as a program, it prints what must be built, a name a line.
"""

import hashlib
import re
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

HERE = Path(__file__).resolve().parent
SETUP = HERE.parents[1] / "setup.py"
MENTION = re.compile(rb"\bbidder\._fast\.(\w+)")  # a cimport, or a comment about one: too many is harmless


class NotBuiltError(ImportError):
    """An extension is missing, or older than its sources; the message says how to build it."""


def digest(name: str, texts: dict[str, bytes] | None = None) -> str:
    """Of everything that the compiled `name` follows from: its sources, every .pxd it cimports, setup.py.

    `texts` keeps what has been read, for callers that ask for several names.
    """
    texts = {} if texts is None else texts
    hashed = hashlib.blake2b(_text(SETUP, texts), digest_size=16)
    waiting, seen = [f"{name}.pyx", f"{name}.pxd"], set[str]()
    while waiting:
        file = waiting.pop()
        text = _text(HERE / file, texts)
        if file not in seen and text:
            seen.add(file)
            hashed.update(f"{file} {len(text)}\n".encode() + text)
            waiting.extend(sorted({f"{mentioned.decode()}.pxd" for mentioned in MENTION.findall(text)}))
    return hashed.hexdigest()


def unbuilt() -> list[str]:
    """Names of the extensions that are missing or stale."""
    if not SETUP.exists():
        return []
    texts: dict[str, bytes] = {}
    return [name for name in sorted(path.stem for path in HERE.glob("*.pyx")) if not _is_fresh(name, texts)]


def mark_built(name: str, built_from: str, profile: str = "") -> None:
    """Of setup.py: `name` has been compiled from sources of this digest, with this profile (OUTBID_PROFILE)."""
    (HERE / f"{name}.built").write_text(f"{built_from} {profile}\n")


def profile_of(name: str) -> str:
    """With which `name` was compiled, as OUTBID_PROFILE says it; empty: the usual one, or nobody knows."""
    return (_mark(name).split()[1:] or [""])[0]


def check() -> None:
    """NotBuiltError where an extension is missing or stale."""
    names = unbuilt()
    if names:
        raise NotBuiltError(f"compiled extensions are missing or stale ({', '.join(names)}); build them: scripts/build")


def _mark(name: str) -> str:
    file = HERE / f"{name}.built"
    return file.read_text() if file.exists() else ""


def _is_fresh(name: str, texts: dict[str, bytes]) -> bool:
    built = (HERE / f"{name}{EXTENSION_SUFFIXES[0]}").exists()
    return built and _mark(name).split()[:1] == [digest(name, texts)]


def _text(path: Path, texts: dict[str, bytes]) -> bytes:
    if str(path) not in texts:
        texts[str(path)] = path.read_bytes() if path.exists() else b""
    return texts[str(path)]


if __name__ == "__main__":
    print(*unbuilt(), sep="\n", end="")
