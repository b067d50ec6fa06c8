"""Two workers on one machine train the model that one trains: as many steps, the same loss, and both know it."""

import json
import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
import tiny_world

from unified_ranker.core.errors import UserError
from unified_ranker.training.distribution import distribution_of
from unified_ranker.training.training_job import train

pytestmark = pytest.mark.xdist_group("strategy")
CODE = "import json, test_distribution; print(json.dumps(test_distribution.losses_by('multi_worker')))"


def losses_by(strategy):
    """The losses by retrieval of each task and epoch, of as little to trace as can be."""
    small = {"signals": [], "cross_layers": 0, "type": "shared_bottom"}
    training = {"epochs": 4, "strategy": strategy}
    config = tiny_world.config(training, item={"id_mask_rate": 0.0, "features": []}, ranker=small)
    with tempfile.TemporaryDirectory() as checkpoints:
        trained = train(tiny_world.prepared(), config, Path(checkpoints))
    return {name: losses for name, losses in trained.curves.items() if name.startswith("retrieval/")}


def free_ports(count):
    """Ports that nobody listens on; held until all are found."""
    sockets = [socket.socket() for _ in range(count)]
    for one in sockets:
        one.bind(("127.0.0.1", 0))
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def start(environment):
    paths = (Path(__file__).parent, Path(__file__).parents[1] / "toys", Path(__file__).parents[2])
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, paths)), **environment}
    command = [sys.executable, "-c", CODE]
    return subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def curves_of(process):
    out, errors = process.communicate(timeout=240)
    assert process.returncode == 0, errors[-3000:]
    return json.loads(out.strip().splitlines()[-1])


def test_two_workers_train_one_model():
    addresses = [f"127.0.0.1:{port}" for port in free_ports(2)]
    running = []
    try:
        for index in range(2):
            cluster = {"cluster": {"worker": addresses}, "task": {"type": "worker", "index": index}}
            running.append(start({"TF_CONFIG": json.dumps(cluster)}))
        alone = losses_by("one_device")
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
