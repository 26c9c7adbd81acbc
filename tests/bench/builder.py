"""The builder of books as the supervisor's keeper starts it, over shards that lie on disk; and what it took.

    with serving(manifest) as url: build(state, settings, url, manifest, fresh=True) -> Build

Phases are read off the times of files: the last part, the book under its name, the stamp that says it is checked.
"""

import http.server
import json
import os
import signal
import sys
import threading
import time
from array import array
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from bidder.campaigns import snapshot
from bidder.campaigns.build import Built, Job
from bidder.campaigns.keeper import EDITS
from bidder.campaigns.publish import MANIFEST_PREFIX, Manifest
from bidder.campaigns.stamp import stamp_of
from bidder.embedded.child import spawn
from bidder.settings import Settings
from tests.bench.servers import CHECKOUT, family

SAMPLE_S = 0.1
KB_A_MB = 1024


@dataclass(frozen=True, slots=True)
class Build:
    """One run of the builder. Seconds; `cpu_s` of all its processes, user and system."""

    generation: int
    campaigns: "array[int]"  # keys of those that run
    wall_s: float
    parts_s: float  # to the last part, start of the process and a look at every shard included
    merge_s: float
    check_s: float
    cpu_s: float
    memory_mb: float  # of all its processes at once, without pages of files
    bytes: int  # of the book


def key_of(manifest: Manifest) -> str:
    return f"{MANIFEST_PREFIX}{manifest.revision}"


@contextmanager
def serving(manifest: Manifest) -> Iterator[str]:
    """The controller's door to the newest book, with this manifest behind it."""
    key = key_of(manifest)
    answers = {
        "/book/latest": json.dumps({"revision": manifest.revision, "manifest": key}).encode(),
        f"/book/{key}": msgspec.msgpack.encode(manifest),
    }

    class Door(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            answer = answers.get(self.path)
            self.send_response(404 if answer is None else 200)
            self.send_header("Content-Length", str(len(answer or b"")))
            self.end_headers()
            self.wfile.write(answer or b"")

        def log_message(self, *what: object) -> None:
            """Nothing: it is a bench's."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Door) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()


class _Memory(threading.Thread):
    """The most that a process and its children ever had at once, in MB, without pages of files."""

    def __init__(self, pid: int) -> None:
        super().__init__(daemon=True)
        self.most = 0.0
        self._pid = pid
        self._over = threading.Event()

    def run(self) -> None:
        while not self._over.wait(SAMPLE_S):
            self.most = max(self.most, sum(map(self._anonymous, self._family())))

    def stop(self) -> float:
        self._over.set()
        self.join()
        return self.most

    def _family(self) -> list[int]:
        try:
            return family(self._pid)
        except OSError:
            return []

    @staticmethod
    def _anonymous(pid: int) -> float:
        with suppress(OSError):
            for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
                if line.startswith("RssAnon:"):
                    return int(line.split()[1]) / KB_A_MB
        return 0.0


def build(state: Path, settings: Settings, controller: str, manifest: Manifest, *, fresh: bool) -> Build:
    """Build, check and publish this revision, as BookKeeper has it done; SystemExit with what the builder said."""
    generation = manifest.revision * EDITS
    job = Job(
        state=str(state),
        controller=controller,
        memcached=[],
        public_url=settings.tracking.public_url,
        exchanges={name: row.key for name, row in settings.exchanges.items()},
        manifest=key_of(manifest),
        generation=generation,
        fresh=fresh,
    )
    reading, writing = os.pipe()
    began, clock = time.monotonic(), time.time()
    process = spawn(
        [sys.executable, "-m", "bidder.campaigns.build", str(writing), msgspec.json.encode(job).decode()],
        cwd=CHECKOUT,
        log=None,
        environ=os.environ,
        account=None,
        on_orphaned=signal.SIGKILL,
        pass_fds=(writing,),
    )
    os.close(writing)
    memory = _Memory(process.pid)
    memory.start()
    keys = array("I")
    with open(reading, "rb") as pipe:  # noqa: PTH123 - a descriptor, not a path
        line = pipe.readline()
        keys.frombytes(pipe.read())
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    wall = time.monotonic() - began
    built = msgspec.json.decode(line or b'{"error": "it said nothing"}', type=Built)
    if built.error or built.left_out or len(keys) != built.campaigns:
        raise SystemExit(f"bench: no whole book: {built.error or built.summary}")
    path = snapshot.path_of(state, generation)
    parts = max(part.stat().st_ctime for part in (state / "book" / "parts").iterdir())
    merged, checked = path.stat().st_ctime, stamp_of(path).stat().st_mtime
    return Build(
        generation=generation,
        campaigns=keys,
        wall_s=wall,
        parts_s=parts - clock,
        merge_s=merged - parts,
        check_s=checked - merged,
        cpu_s=used.ru_utime + used.ru_stime,
        memory_mb=memory.stop(),
        bytes=path.stat().st_size,
    )
