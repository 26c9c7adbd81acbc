"""The bench's exchange: every notice at its time, each until it is taken, on few connections."""

import http.server
import threading
from collections import Counter

from tests.bench.teller import tell


def test_notices_are_told_until_they_are_taken_and_everything_else_is_odd() -> None:
    asked: Counter[str] = Counter()
    middle = threading.Event()

    class Tracker(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            asked[self.path] += 1
            status = 503 if self.path == "/3" and asked["/3"] < 2 else 400 if self.path == "/5" else 200
            self.send_response(status)
            self.send_header("Content-Length", "2")
            self.end_headers()
            self.wfile.write(b"ok")

        def log_message(self, format: str, *args: object) -> None:
            """Silent."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Tracker) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        paths = [f"/{n}" for n in range(40)]
        told = tell("127.0.0.1", server.server_port, paths, 1_000.0, connections=4, seed=1, on_way=middle.set)
        server.shutdown()
    assert middle.is_set()
    assert asked == Counter(paths) + Counter(["/3"])
    assert (told.taken, told.refused, told.odd) == (set(range(40)) - {5}, 1, 1)
    assert len(told.latency_s) == 40
