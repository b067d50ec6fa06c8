"""Repeating threads: a look that fails is counted, and is followed by the next."""

import threading

from unified_ranker.serving.service.repeating import Repeating
from unified_ranker.serving.service.service_metrics import ServiceMetrics


class FailsFirst(Repeating):
    def __init__(self, metrics):
        super().__init__("looker", 0.001, metrics)
        self.looks, self.again = 0, threading.Event()

    def look(self):
        self.looks += 1
        if self.looks < 3:
            raise OSError("disk")
        self.again.set()


def test_a_look_that_fails_is_counted_and_the_thread_goes_on():
    metrics = ServiceMetrics()
    looking = FailsFirst(metrics).start()
    try:
        assert looking.again.wait(20)
    finally:
        looking.stop()
    assert 'unified_ranker_errors_total{reason="OSError",stage="looker"} 2.0' in metrics.text().decode()
