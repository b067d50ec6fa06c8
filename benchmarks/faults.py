"""A real service whose processes are killed while clients change, report and ask: every answer is judged.

    python benchmarks/faults.py                     # about 15 minutes; results/faults.json
    python benchmarks/faults.py --seed 7 --only "model server"

`unified-ranker serve` answers from a release whose right answers are known, with the model in a child process. Clients
put, patch and delete items, report events and ask for recommendations. Meanwhile the child or the service is killed,
stopped or ended, releases are loaded, refused and rolled back, canaries begin and end. An answer is wrong if it shows
what may not be shown, lacks what must be shown, or has a title of before an acknowledged change; so is a status that
the reference does not name. An answer that is refused (503), or lost with a killed process, is not wrong.

The seed draws what each client does, one after the other, and the order of the faults. A second run does the same; what
is under way when a fault comes depends on how threads and processes take turns.
"""

import argparse
import contextlib
import os
import shutil
import signal
import socket
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np
from machine import keep, machine

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests" / "toys"))
from catalogue_oracle import CatalogueClient
from redis_process import REDIS, RedisProcess
from service_process import children, running
from service_toy import IDS, VECTORS, write_release

REPLICAS = "replicas"
RUNS = {"model server": ("embedded", 1), "model in the service": ("in-process", 1), REPLICAS: ("in-process", 2)}
"""Where the model runs, and how many services there are; several share a Redis."""
CLIENTS, USERS, NEW_ITEMS = 3, 12, 20
LIMIT = 500
"""More than all items: each that may be shown is shown."""
COUNTRIES = ("DE", "FR")
CODES = ("0.5,-1,2", "-1,0.3,0.1", "2,2,-1")
PATIENCE = 2.0
"""Seconds within which all replicas follow a change."""
DOWN = 0.2
"""Seconds that a client waits where nothing listens."""
STOPPED = 1.5
"""Seconds for which a child is stopped."""


@dataclass
class Replica:
    """One service and its port, which it has again after each start."""

    release: Path
    store: str
    model: str
    port: int
    process: Any = None
    _stack: contextlib.ExitStack = field(default_factory=contextlib.ExitStack)

    @property
    def url(self) -> str:
        """Address of the service."""
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        """Start the service and wait until it answers."""
        options = ("--port", str(self.port), "--store", self.store, "--model-server", self.model)
        self.process, _ = self._stack.enter_context(running(self.release, *options, "--deadline-ms", "2000"))

    def end(self, number: signal.Signals) -> None:
        """Send the service a signal, and wait for its end."""
        self.process.send_signal(number)
        self.process.wait(60)
        self._stack.close()

    def restart(self, number: signal.Signals) -> None:
        """End the service by a signal, and start it again."""
        self.end(number)
        self.start()

    def child(self, number: signal.Signals) -> None:
        """Send a signal to the child that runs the model, where there is one."""
        for process in children(self.process.pid):
            with contextlib.suppress(ProcessLookupError):
                os.kill(process, number)

    def admin(self, operation: str, **body: Any) -> int:
        """Change the release; returns the status."""
        try:
            return httpx.post(f"{self.url}/v1/admin/{operation}", json=body, timeout=120, trust_env=False).status_code
        except httpx.HTTPError:
            return 0


def stop_for_a_while(replica: Replica) -> None:
    """Stop the child, and let it go on."""
    replica.child(signal.SIGSTOP)
    time.sleep(STOPPED)
    replica.child(signal.SIGCONT)


FAULTS: dict[str, tuple[Callable[[Replica], Any], Sequence[int | None]]] = {
    "model killed": (lambda replica: replica.child(signal.SIGKILL), (None,)),
    "model stopped for 1.5 s": (stop_for_a_while, (None,)),
    "service killed": (lambda replica: replica.restart(signal.SIGKILL), (None,)),
    "service ended": (lambda replica: replica.restart(signal.SIGTERM), (None,)),
    "release 2 loaded": (lambda replica: replica.admin("reload", release=2), (200, 409, 422)),
    "release 1 loaded": (lambda replica: replica.admin("reload", release=1), (200, 409, 422)),
    "damaged release refused": (lambda replica: replica.admin("reload", release=3), (422,)),
    "rolled back": (lambda replica: replica.admin("rollback"), (200, 409, 422)),
    "canary begun": (lambda replica: replica.admin("reload", release=2, label="canary", share=0.5), (200, 409, 422)),
    "canary ended": (lambda replica: replica.admin("rollback", label="canary"), (200, 409, 422)),
}
"""What each fault does, and the statuses that it may end with.

409: a replica is just loading what another was told. 422: there is none before, or its model is just dead.
"""


class Connection(httpx.Client):
    """Client that waits a moment where nothing listens, as while a service is started again."""

    def request(self, *arguments: Any, **named: Any) -> httpx.Response:
        """Send a request."""
        try:
            return super().request(*arguments, **named)
        except httpx.ConnectError:
            time.sleep(DOWN)
            raise


class Worker:
    """One client: its items, its users and what it draws."""

    def __init__(self, number: int, seed: int, urls: Sequence[str]) -> None:
        self.draw = np.random.default_rng([seed, number])
        own: dict[str, Any] = {
            str(item): [self.released(row)] for row, item in enumerate(IDS) if row % CLIENTS == number
        }
        own |= {f"new-{number}-{n}": [None] for n in range(NEW_ITEMS)}
        http = [Connection(base_url=url, timeout=120, trust_env=False) for url in urls]
        self.client = CatalogueClient(http, own, patience=0.0 if len(urls) == 1 else PATIENCE)
        self.names = list(own)
        self.done = 0
        self.users = [f"user-{number}-{n}" for n in range(USERS)]

    @staticmethod
    def released(row: int) -> dict[str, Any]:
        """Return the fields of an item of the releases."""
        return {"title": f"Title {row}", "code": ",".join(map(str, VECTORS[row].tolist()))}

    def one(self) -> None:
        """Do one operation."""
        draw, client = self.draw, self.client
        self.done += 1
        kind = draw.choice(["put", "patch", "delete", "event", "get", "look"], p=[0.14, 0.14, 0.08, 0.14, 0.1, 0.4])
        item, replica = str(draw.choice(self.names)), int(draw.integers(len(client.http)))
        fields = {
            "available": bool(draw.random() < 0.8),
            "countries": [str(c) for c in COUNTRIES if draw.random() < 0.4] or None,
            "title": f"{item} after {self.done}",
        }
        if kind == "put":
            client.put(item, {**fields, "code": str(draw.choice(CODES))}, replica)
        elif kind == "patch":
            chosen = [name for name in fields if draw.random() < 0.5] or ["title"]
            client.patch(item, {name: fields[name] for name in chosen}, replica)
        elif kind == "delete":
            client.delete(item, replica)
        elif kind == "event":
            self.engage(str(draw.choice(self.users)), item, replica)
        elif kind == "get":
            client.get(item, replica)
        else:
            self.look(replica)

    def engage(self, user: str, item: str, replica: int) -> None:
        """Report an event until it is acknowledged: one whose answer was lost is sent again."""
        event = {"task": "home_feed", "event_type": "rating", "value": 5, "timestamp": int(time.time()) - 5}
        while item not in self.client.engaged.get(user, ()):
            self.client.engage(user, item, event, replica)

    def look(self, replica: int) -> None:
        """Ask for every item, with fields drawn."""
        draw = self.draw
        task = str(draw.choice(["home_feed", "search"]))
        body = {
            "user_id": str(draw.choice(self.users)),
            "task": task,
            "query": str(draw.choice(CODES)),
            "limit": LIMIT,
            "country": str(draw.choice(["DE", "FR", "GB"])) if draw.random() < 0.6 else None,
            "source_item_id": str(draw.choice(self.names)) if draw.random() < 0.3 else None,
            "query_item_id": str(draw.choice(self.names)) if draw.random() < 0.2 else None,
        }
        self.client.look(body, excluding=task == "home_feed", replica=replica)

    def look_at_all(self) -> None:
        """Look at every item and ask for every user, of each replica."""
        for replica in range(len(self.client.http)):
            for item in self.names:
                self.client.get(item, replica)
            for user in self.users:
                body = {"user_id": user, "task": "home_feed", "query": CODES[0], "limit": LIMIT}
                self.client.look(body, excluding=True, replica=replica)


class Load:
    """Clients that work until they are told to end.

    Args:
        workers: the clients, each in a thread of its own.
    """

    def __init__(self, workers: Sequence[Worker]) -> None:
        self._done, self._ended, self._turn = 0, False, threading.Condition()
        self._error: BaseException | None = None
        self._threads = [threading.Thread(target=self._work, args=(worker,), daemon=True) for worker in workers]

    def start(self) -> None:
        """Start the clients."""
        for thread in self._threads:
            thread.start()

    def wait(self, operations: int) -> None:
        """Wait until the clients have done so many more operations."""
        with self._turn:
            due = self._done + operations
            self._turn.wait_for(lambda: self._done >= due or self._error is not None)
        if self._error is not None:
            raise self._error

    def end(self) -> None:
        """Let the clients finish what they do."""
        self._ended = True
        for thread in self._threads:
            thread.join()

    def _work(self, worker: Worker) -> None:
        try:
            while not self._ended:
                worker.one()
                with self._turn:
                    self._done += 1
                    self._turn.notify_all()
        except BaseException as error:  # noqa: BLE001  # raised again by the thread that waits
            with self._turn:
                self._error = error
                self._turn.notify_all()


def run(replicas: Sequence[Replica], seed: int, rounds: int, between: int) -> dict[str, Any]:
    """Let clients work while each fault comes `rounds` times, with operations between them; then look once more."""
    order = np.random.default_rng(seed).permutation([name for name in FAULTS for _ in range(rounds)])
    workers = [Worker(number, seed, [replica.url for replica in replicas]) for number in range(CLIENTS)]
    load, wrong, faults = Load(workers), [], Counter()
    load.start()
    for number, name in enumerate(map(str, order)):
        load.wait(between)
        do, allowed = FAULTS[name]
        print(f"fault {number + 1} of {len(order)}: {name}", file=sys.stderr, flush=True)
        status = do(replicas[number % len(replicas)])
        faults[name] += 1
        if status is not None and status not in allowed:
            wrong.append(f"{name}: status {status}")
    load.wait(between)
    load.end()
    for replica in replicas:
        replica.restart(signal.SIGTERM)
    for worker in workers:
        worker.look_at_all()
    counts = sum((worker.client.counts for worker in workers), Counter())
    wrong += [line for worker in workers for line in worker.client.wrong]
    wrong += [f"{n} times {name}" for name, n in counts.items() if name.split()[-1] in ("500", "502", "504")]
    by_status = {name: n for name, n in sorted(counts.items()) if not name.startswith("rung")}
    return {
        "seed": seed,
        "operations": sum(by_status.values()),
        "faults": sum(faults.values()),
        "wrong_answers": len(wrong),
        "wrong": wrong[:20],
        "by_fault": dict(sorted(faults.items())),
        "by_status": by_status,
        "by_rung": {name.removeprefix("rung "): n for name, n in sorted(counts.items()) if name.startswith("rung")},
    }


def damage(release: Path) -> None:
    """Flip a byte of a release's vectors."""
    file = next((release / "items").glob("*.parquet"))
    whole = bytearray(file.read_bytes())
    whole[len(whole) // 2] ^= 1
    file.write_bytes(whole)


def free_port() -> int:
    """Return a port that nothing listens on."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return int(listener.getsockname()[1])


@contextlib.contextmanager
def replicas_of(root: Path, model: str, count: int) -> Iterator[list[Replica]]:
    """Run services over three releases, the last of them damaged; several share a Redis."""
    for _ in range(3):
        write_release(root / "releases")
    damage(root / "releases" / "3")
    with contextlib.ExitStack() as stack:
        store = str(root / "store")
        if count > 1:
            redis = RedisProcess(root)
            stack.callback(redis.kill)
            store = redis.url()
        services = [Replica(root / "releases" / "1", store, model, free_port()) for _ in range(count)]
        for service in services:
            service.start()
            stack.callback(service.end, signal.SIGKILL)
        yield services


def run_one(name: str, seed: int, rounds: int, between: int) -> dict[str, Any]:
    """Run the services of a name, and print what was wrong."""
    model, count = RUNS[name]
    root, started = Path(tempfile.mkdtemp(prefix="unified-ranker-faults-")), time.perf_counter()
    try:
        with replicas_of(root, model, count) as services:
            result = run(services, seed, rounds, between)
    finally:
        shutil.rmtree(root, ignore_errors=True)
    operations, faults, wrong = (result[key] for key in ("operations", "faults", "wrong_answers"))
    print(f"{name}: {operations:,} operations, {faults} faults, {wrong} wrong answers")
    for line in result["wrong"]:
        print(f"  {line}")
    return {**result, "seconds": round(time.perf_counter() - started, 1)}


def main() -> int:
    """Run, write the result of all runs, and return 1 where something was wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=1, help="times that each fault comes")
    parser.add_argument("--between", type=int, default=30, help="operations between two faults")
    parser.add_argument("--only", choices=list(RUNS), help="one run, whose result is not written")
    given = parser.parse_args()
    # Else the services of a run that is ended would go on.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    described, names = machine(), [given.only] if given.only else list(RUNS)
    if REDIS is None and REPLICAS in names:
        parser.error("replicas need redis-server; apt install redis-server")
    results = {name: run_one(name, given.seed, given.rounds, given.between) for name in names}
    if not given.only:
        keep(Path(__file__).stem, results, described)
    return int(any(result["wrong_answers"] for result in results.values()))


if __name__ == "__main__":
    sys.exit(main())
