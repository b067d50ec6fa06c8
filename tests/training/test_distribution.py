"""Two workers on one machine train the model that one trains: as many steps, the same loss, and both know it."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import tiny_world

from unified_ranker.core.errors import UserError
from unified_ranker.training.distribution import distribution_of

pytestmark = pytest.mark.xdist_group("strategy")
CODE = """
import json, sys, tempfile
from pathlib import Path
import tiny_world
from unified_ranker.training.training_job import train
# As little to trace as can be: three processes do.
small = {"signals": [], "cross_layers": 0, "type": "shared_bottom"}
training = {"epochs": 4, "strategy": sys.argv[1]}
config = tiny_world.config(training, item={"id_mask_rate": 0.0, "features": []}, ranker=small)
with tempfile.TemporaryDirectory() as checkpoints:
    trained = train(tiny_world.prepared(), config, Path(checkpoints))
print(json.dumps({k: v for k, v in trained.curves.items() if k.startswith("retrieval/")}))
"""


def free_ports(count):
    """Ports that nobody listens on; held until all are found."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def start(strategy, environment):
    paths = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[1] / "toys"), **environment}
    command = [sys.executable, "-c", CODE, strategy]
    return subprocess.Popen(command, env=paths, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def curves_of(process):
    out, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors[-3000:]
    return json.loads(out.strip().splitlines()[-1])


def test_two_workers_train_one_model():
    addresses = [f"127.0.0.1:{port}" for port in free_ports(2)]
    alone = curves_of(start("one_device", {}))
    running = []
    try:
        for index in range(2):
            cluster = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
            running.append(start("multi_worker", {"TF_CONFIG": json.dumps(cluster)}))
        first, second = (curves_of(process) for process in running)
    finally:
        for process in running:
            process.kill()
            process.wait()
    assert first == second, "both workers know the loss of all"
    for name, losses in alone.items():
        # Dropout and the order of examples differ, so the losses are near, not equal.
        assert first[name][-1] == pytest.approx(losses[-1], rel=0.25), name


def test_several_workers_need_to_know_of_each_other(monkeypatch):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    with pytest.raises(UserError, match=r"`project.training.strategy: multi_worker` needs the variable TF_CONFIG"):
        distribution_of(tiny_world.config({"strategy": "multi_worker"}))
