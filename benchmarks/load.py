"""An open-loop load generator: requests leave when they are due, whether or not earlier ones have been answered.

A request's time counts from when it was due, so that a service which stalls cannot hide it by being asked less.
"""

import asyncio
import json
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import httptools
import numpy as np


@dataclass
class Seen:
    """What a client saw: status, milliseconds from when it was due, seconds at which it was due, rung."""

    status: list[int] = field(default_factory=list)
    milliseconds: list[float] = field(default_factory=list)
    due: list[float] = field(default_factory=list)
    rungs: Counter = field(default_factory=Counter)
    stages: dict[str, list[float]] = field(default_factory=dict)

    def summary(self) -> dict[str, Any]:
        """Return counts and percentiles; those of time are of the answers with status 200."""
        status, times = np.array(self.status), np.array(self.milliseconds)
        good = times[status == 200] if len(status) else times
        out: dict[str, Any] = {
            "requests": len(status),
            "statuses": {str(k): v for k, v in Counter(self.status).items()},
        }
        out["rungs"] = dict(self.rungs)
        if len(good):
            out["ms"] = {f"p{p:g}": round(float(np.percentile(good, p)), 2) for p in (50, 90, 99, 99.9, 100)}
        if self.stages:
            out["stages_ms"] = {
                name: {f"p{p}": round(float(np.percentile(spent, p)), 2) for p in (50, 99)}
                for name, spent in self.stages.items()
            }
        return out


class _Connection:
    """One kept-alive HTTP/1.1 connection."""

    def __init__(self, host: str, port: int) -> None:
        self.host, self.port, self.reader, self.writer = host, port, None, None

    async def ask(self, raw: bytes) -> tuple[int, bytes]:
        if self.writer is None:
            self.reader, self.writer = await asyncio.open_connection(self.host, self.port)
        self.writer.write(raw)
        self.body, self.done = b"", False
        parser = httptools.HttpResponseParser(self)
        while not self.done:
            data = await self.reader.read(65536)
            if not data:
                self.writer = None
                raise ConnectionError("closed")
            parser.feed_data(data)
        if not parser.should_keep_alive():
            self.writer.close()
            self.writer = None
        return parser.get_status_code(), self.body

    def on_body(self, body: bytes) -> None:
        self.body += body

    def on_message_complete(self) -> None:
        self.done = True


async def offer(
    host: str, port: int, rate: float, seconds: float, body: Callable[[int], dict[str, Any]], timeout: float = 10.0
) -> Seen:
    """Offer `rate` requests a second for so many `seconds`, with Poisson arrivals (seeded)."""
    rng, seen, idle = np.random.default_rng(1), Seen(), []
    moments = np.cumsum(rng.exponential(1 / rate, int(rate * seconds)))
    raws = []
    for number in range(len(moments)):
        content = json.dumps(body(number)).encode()
        head = f"POST /v1/recommend HTTP/1.1\r\nHost: {host}\r\nContent-Type: application/json\r\n"
        raws.append(head.encode() + f"Content-Length: {len(content)}\r\n\r\n".encode() + content)
    started = time.perf_counter() + 0.2

    async def one(number: int) -> None:
        connection = idle.pop() if idle else _Connection(host, port)
        try:
            status, answer = await asyncio.wait_for(connection.ask(raws[number]), timeout)
        except (TimeoutError, ConnectionError, OSError):
            status, answer = 0, b""
        else:
            idle.append(connection)
        seen.status.append(status)
        seen.milliseconds.append(1000 * (time.perf_counter() - started - moments[number]))
        seen.due.append(moments[number])
        if status == 200:
            read = json.loads(answer)
            seen.rungs[read["degraded"] or "full"] += 1
            for name, spent in read["timings_ms"].items():
                seen.stages.setdefault(name, []).append(spent)

    tasks = set()
    for number, moment in enumerate(moments):
        wait = started + moment - time.perf_counter()
        if wait > 0:
            await asyncio.sleep(wait)
        task = asyncio.create_task(one(number))
        tasks.add(task)
        task.add_done_callback(tasks.discard)
    await asyncio.gather(*tasks)
    return seen
