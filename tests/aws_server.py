"""AWS on loopback: moto's server in a process of its own, with faults that a test asks for.

with serving() as aws:
    aws.create("stream", shards=2); aws.faults("PutRecords", "throttle", "partial", "lost"); aws.calls("PutRecords")
Faults of an operation come in order, one a call, then all is well again; "down" stays until `aws.heal()`.
Where moto differs from what Kinesis documents about shards it is put right here: see `_as_documented`.
"""

import contextlib
import itertools
import json
import os
import subprocess
import sys
import threading
import urllib.request
from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator
from typing import Any

from bidder.settings import Stream
from tests.conditions import wait_until
from tests.free_ports import free_port

CREDENTIALS = {
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}
ERRORS = {
    "throttle": (400, "ProvisionedThroughputExceededException"),
    "expired": (400, "ExpiredIteratorException"),
    "denied": (400, "AccessDeniedException"),
    "500": (500, "InternalFailure"),
    "down": (503, "ServiceUnavailable"),
}
FIRST_SEQUENCE = 49_590_338_271_490_256_608_559_692_538_361_571_095_921_575_989_136_588_898  # as long as real ones


class Aws:
    """The server, as tests see it."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"
        self._clients: dict[str, Any] = {}
        self.settings = Stream(backend="kinesis", region="us-east-1", endpoint_url=self.url)
        self.environ = CREDENTIALS | {
            "OUTBID_STREAM_BACKEND": "kinesis",
            "OUTBID_STREAM_REGION": "us-east-1",
            "OUTBID_STREAM_ENDPOINT_URL": self.url,
        }

    def client(self, service: str = "kinesis") -> Any:
        """Of our own making, as outbid's processes have it."""
        from bidder.events import aws  # and with it boto3: only for tests that ask for it

        if service not in self._clients:  # half a second each
            self._clients[service] = aws.client(service, self.settings)
        return self._clients[service]

    def create(self, name: str, shards: int = 1) -> None:
        """A stream that is there at once."""
        self.client().create_stream(StreamName=name, ShardCount=shards)

    def faults(self, operation: str, *kinds: str) -> None:
        """What the next calls of it meet: "ok", "reset", "lost" (done, but unanswered), "partial", or one of ERRORS."""
        self._tell({"faults": {operation: kinds}})

    def heal(self) -> None:
        """No more faults."""
        self._tell({"heal": True})

    def calls(self, operation: str) -> int:
        """How often it was called so far."""
        return int(self._tell({})[operation])

    def _tell(self, what: dict[str, Any]) -> Counter[str]:
        request = urllib.request.Request(f"{self.url}/_faults", json.dumps(what).encode())
        with urllib.request.urlopen(request, timeout=5) as answer:
            return Counter(json.loads(answer.read()))


@contextlib.contextmanager
def serving() -> Iterator[Aws]:
    """A server of one's own, until the end of the block; its credentials stand in the environment meanwhile."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-W", "ignore", "-m", "tests.aws_server", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | CREDENTIALS,
    )
    made = Aws(port)

    def answers() -> bool:
        assert process.poll() is None, "the AWS server has ended"
        with contextlib.suppress(OSError):
            made.heal()
            return True
        return False

    before = {name: os.environ.get(name) for name in CREDENTIALS}
    os.environ.update(CREDENTIALS)
    try:
        wait_until(answers, 30, "the AWS server")
        yield made
    finally:
        process.kill()
        process.wait(10)
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


class Faults:
    """A WSGI application around moto's."""

    def __init__(self, application: Any) -> None:
        self._application = application
        self._planned: defaultdict[str, deque[str]] = defaultdict(deque)
        self._calls: Counter[str] = Counter()
        self._lock = threading.Lock()  # Kinesis's numbers are unique; moto's would not be with two calls at once

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if environ["PATH_INFO"] == "/_faults":
            return self._told(environ, start_response)
        operation = environ.get("HTTP_X_AMZ_TARGET", "").rpartition(".")[2] or environ["REQUEST_METHOD"]
        with self._lock:
            self._calls[operation] += 1
            planned = self._planned[operation]
            fault = planned[0] if planned else "ok"
            if planned and fault != "down":
                planned.popleft()
            return self._answer(fault, environ, start_response)

    def _answer(self, fault: str, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        if fault in ERRORS:
            status, name = ERRORS[fault]
            start_response(f"{status} Error", [("Content-Type", "application/x-amz-json-1.1")])
            return [json.dumps({"__type": name, "message": "injected"}).encode()]
        if fault == "reset":
            return self._cut(environ)
        if fault == "partial":
            return self._in_part(environ, start_response)
        answer = list(self._application(environ, start_response if fault == "ok" else lambda *said: None))
        return answer if fault == "ok" else self._cut(environ)

    def _cut(self, environ: dict[str, Any]) -> Iterable[bytes]:
        environ["werkzeug.socket"].shutdown(2)
        raise ConnectionResetError("injected")

    def _in_part(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Every second record is refused, the first one too."""
        import io

        asked = json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
        records = asked["Records"]
        asked["Records"] = records[1::2]
        accepted = iter(())
        if asked["Records"]:
            body = json.dumps(asked).encode()
            environ |= {"wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))}
            answer = b"".join(self._application(environ, lambda *said: None))
            accepted = iter(json.loads(answer)["Records"])
        refused = {"ErrorCode": "ProvisionedThroughputExceededException", "ErrorMessage": "injected"}
        results = [next(accepted) if place % 2 else refused for place in range(len(records))]
        start_response("200 OK", [("Content-Type", "application/x-amz-json-1.1")])
        return [json.dumps({"FailedRecordCount": (len(records) + 1) // 2, "Records": results}).encode()]

    def _told(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        told = json.loads(environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"])))
        with self._lock:
            if told.get("heal"):
                self._planned.clear()
            for operation, kinds in told.get("faults", {}).items():
                self._planned[operation].extend(kinds)
            start_response("200 OK", [("Content-Type", "application/json")])
            return [json.dumps(self._calls).encode()]


def _as_documented() -> None:
    """Records stay in the shard that they were put to; a closed one takes no more, and its last iterator is null."""
    from moto.kinesis import models
    from moto.kinesis.responses import KinesisResponse

    numbers = itertools.count(FIRST_SEQUENCE)
    made, get_records = models.Shard.__init__, KinesisResponse.get_records

    def make(shard: Any, *args: Any, **options: Any) -> None:
        made(shard, *args, **options)
        shard.first_number = next(numbers)

    def put(shard: Any, partition_key: str, data: str, explicit_hash_key: str) -> str:
        number = next(numbers)
        shard.records[number] = models.Record(partition_key, data, number, explicit_hash_key)
        return str(number)

    def of_key(stream: Any, partition_key: str, explicit_hash_key: str) -> Any:
        key = int(explicit_hash_key or int(models.md5_hash(partition_key.encode()).hexdigest(), 16))
        return next(s for s in stream.shards.values() if s.is_open and s.starting_hash <= key <= s.ending_hash)

    def add(stream: Any, low: int, high: int, parents: list[str]) -> None:
        shard = models.Shard(len(stream.shards), low, high, *parents)
        stream.shards[shard.shard_id] = shard

    def split(stream: Any, name: str, middle: str) -> None:
        shard = stream.shards[name]
        shard.is_open = False
        add(stream, shard.starting_hash, int(middle) - 1, [name])
        add(stream, int(middle), shard.ending_hash, [name])

    def merge(stream: Any, first: str, second: str) -> None:
        shards = [stream.shards[first], stream.shards[second]]
        for shard in shards:
            shard.is_open = False
        low, high = min(s.starting_hash for s in shards), max(s.ending_hash for s in shards)
        add(stream, low, high, [first, second])

    def read(response: Any) -> Any:
        result = get_records(response)
        name, shard_id, last = models.decompose_shard_iterator(result.result["NextShardIterator"])
        shard = response.kinesis_backend.streams[name].get_shard(shard_id)
        if not shard.is_open and int(last) >= shard.get_max_sequence_number():
            result.result["NextShardIterator"] = None
        return result

    models.Shard.__init__, models.Shard.put_record = make, put
    models.Shard.get_min_sequence_number = lambda shard: shard.first_number
    models.Stream.get_shard_for_key = of_key
    models.Stream.split_shard, models.Stream.merge_shards = split, merge
    KinesisResponse.get_records = read


def main(port: int) -> None:
    """Serve until killed."""
    from moto.server import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import run_simple

    _as_documented()
    run_simple("127.0.0.1", port, Faults(DomainDispatcherApplication(create_backend_app)), threaded=True)


if __name__ == "__main__":
    main(int(sys.argv[1]))
