"""Builds for tests: directories that look like a checkout of outbid, whole or with a file of their own in it.

linked(tmp_path / "b", worker="raise RuntimeError('no')")
"""

from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[1]


def linked(place: Path, **replaced: str) -> Path:
    """This checkout through symbolic links; `replaced`: modules of `bidder` with another text."""
    (place / "bidder").mkdir(parents=True)
    for package in ("aggregator", "reporting"):
        (place / package).symlink_to(CHECKOUT / package)
    for entry in (CHECKOUT / "bidder").iterdir():
        if entry.suffix == ".py" or entry.is_dir():
            (place / "bidder" / entry.name).symlink_to(entry)
    for module, text in replaced.items():
        (place / "bidder" / f"{module}.py").unlink(missing_ok=True)
        (place / "bidder" / f"{module}.py").write_text(text)
    return place


def program(place: Path, text: str) -> Path:
    """An interpreter that does this instead, whatever it is asked."""
    place.write_text(f"#!/bin/sh\n{text}\n")
    place.chmod(0o700)
    return place
