"""Starting and stopping the embedded model server: in this process, as a program, as a child."""

import ast
import concurrent.futures
import contextlib
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import threading
from pathlib import Path

import grpc
import httpx
import numpy as np
import pytest
from model_server_toy import MODEL, NEWEST, predict_request, write_warmup

from unified_ranker.core.errors import UserError
from unified_ranker.model_server import embedded_server as model_server
from unified_ranker.model_server.base_path import resolve_base_path, versions
from unified_ranker.model_server.embedded_server import EmbeddedModelServer
from unified_ranker.model_server.grpc_api import PredictionService
from unified_ranker.model_server.messages import get_model_status_pb2, model_pb2
from unified_ranker.model_server.process import ModelServerProcess, begin_in_subprocess, finish_start
from unified_ranker.model_server.status_codes import ServingError
from unified_ranker.model_server.versions import ModelVersions
from unified_ranker.serving.client.grpc_client import ModelClient
from unified_ranker.serving.client.model_server_error import ModelServerError
from unified_ranker.towers.tensorflow import tf


@pytest.fixture
def own_base_path(base_path, tmp_path):
    """A copy of the newest version alone, to be spoilt."""
    shutil.copytree(base_path / str(NEWEST), tmp_path / "own" / "1")
    return tmp_path / "own"


def refuses_connections(address: str) -> bool:
    host, port = address.rsplit(":", 1)
    with socket.socket() as probe:
        return probe.connect_ex((host, int(port))) != 0


def test_versions_are_whole_numbers_in_number_order(base_path):
    assert list(versions(base_path)) == [9, NEWEST]


def test_base_path_of_a_release_is_its_model_directory(base_path, tmp_path):
    shutil.copytree(base_path, tmp_path / "release" / "model")
    assert resolve_base_path(tmp_path / "release") == tmp_path / "release" / "model"
    assert resolve_base_path(str(base_path)) == base_path


@pytest.mark.parametrize(
    ("where", "part"),
    [
        ("missing", "does not exist"),
        ("file", "a file"),
        ("empty", "holds nothing"),
        ("other", "holds `notes.txt`"),
        ("base/3", "the directory above it"),
    ],
)
def test_path_without_versions_says_what_was_found(tmp_path, where, part):
    (tmp_path / "file").write_text("")
    (tmp_path / "empty").mkdir()
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "notes.txt").write_text("")
    (tmp_path / "base" / "3").mkdir(parents=True)
    (tmp_path / "base" / "3" / "saved_model.pb").write_bytes(b"")
    with pytest.raises(UserError, match=part) as caught:
        EmbeddedModelServer(tmp_path / where)
    assert f"`{tmp_path / where}`" in str(caught.value)


def test_version_that_does_not_load_is_named_and_reported(own_base_path):
    (own_base_path / "1" / "variables" / "variables.index").unlink()
    model_versions = ModelVersions(own_base_path, MODEL)
    with pytest.raises(UserError, match=f"version 1 of model `{MODEL}` at `{own_base_path / '1'}`"):
        model_versions.load_wanted()
    spec = model_pb2.ModelSpec(name=MODEL)
    (served,) = model_versions.statuses(spec)
    assert served.state == get_model_status_pb2.ModelVersionStatus.END
    assert served.to_proto().status.error_code == grpc.StatusCode.UNKNOWN.value[0]
    assert served.to_proto().status.error_message
    with pytest.raises(Exception, match="Servable not found"):
        model_versions.find(spec)


def test_saved_model_file_that_is_missing_or_none_is_a_user_error(own_base_path):
    path = own_base_path / "1" / "saved_model.pb"
    path.write_bytes(b"\xff\xff not a protobuf")
    with pytest.raises(UserError, match="version 1"):
        ModelVersions(own_base_path, MODEL).load_wanted()
    path.unlink()
    with pytest.raises(UserError, match=r"saved_model\.pb"):
        ModelVersions(own_base_path, MODEL).load_wanted()


def test_saved_model_without_the_serve_tag_is_a_user_error(tmp_path):
    graph = tf.Graph()
    with graph.as_default(), tf.compat.v1.Session(graph=graph) as session:
        tf.constant(1)
        builder = tf.compat.v1.saved_model.Builder(str(tmp_path / "1"))
        builder.add_meta_graph_and_variables(session, ["train"])
        builder.save()
    with pytest.raises(UserError, match=r"tag `serve`. Found: \[\['train'\]\]"):
        ModelVersions(tmp_path, MODEL).load_wanted()


def bad_request() -> object:
    return predict_request("double", {"x": np.int64([1])})


@pytest.mark.parametrize(
    ("spoil", "part"),
    [
        (
            lambda d: write_warmup(d, [predict_request("double", {"x": np.float32([1])}), bad_request()]),
            "record 2",
        ),
        (lambda d: write_warmup(d, [predict_request("nonsense", {})]), "FAILED_PRECONDITION"),
        (
            lambda d: write_warmup(d, [predict_request("double", {"x": np.float32([1])})] * 1001),
            "at most 1000",
        ),
        (lambda d: (d / "assets.extra/tf_serving_warmup_requests").write_bytes(b"no record" * 9), "TFRecord"),
    ],
    ids=["second", "signature", "too many", "no tfrecord"],
)
def test_version_whose_warmup_fails_is_never_available(own_base_path, spoil, part):
    spoil(own_base_path / "1")
    model_versions = ModelVersions(own_base_path, MODEL)
    with pytest.raises(UserError, match=part):
        model_versions.load_wanted()
    (served,) = model_versions.statuses(model_pb2.ModelSpec(name=MODEL))
    assert served.state == get_model_status_pb2.ModelVersionStatus.END


def test_model_is_not_found_while_it_warms_up(own_base_path, slow_steps):
    write_warmup(own_base_path / "1", [predict_request("slow", {"steps": slow_steps})])
    model_versions, spec = ModelVersions(own_base_path, MODEL), model_pb2.ModelSpec(name=MODEL)
    loading = threading.Thread(target=model_versions.load_wanted)
    loading.start()
    seen = set()
    while loading.is_alive():
        with contextlib.suppress(ServingError):  # before the version is looked at
            seen.update((served.state, served.model is None) for served in model_versions.statuses(spec))
        loading.join(0.01)
    assert (get_model_status_pb2.ModelVersionStatus.LOADING, True) in seen
    assert (get_model_status_pb2.ModelVersionStatus.LOADING, False) not in seen
    assert model_versions.find(spec).version == 1


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.org", ""])  # noqa: S104
def test_host_must_be_loopback(base_path, host):
    with pytest.raises(UserError, match="loopback"):
        EmbeddedModelServer(base_path, host=host)


def test_other_hosts_are_served_when_asked_for(base_path):
    server = EmbeddedModelServer(base_path, MODEL, host="0.0.0.0", allow_non_loopback=True)  # noqa: S104
    with server, ModelClient(server.grpc_address.replace("0.0.0.0", "127.0.0.1"), MODEL) as client:  # noqa: S104
        assert client.wait_until_available(5) == NEWEST


@pytest.mark.parametrize("name", ["grpc_port", "rest_port"])
def test_port_that_is_taken_is_a_user_error_and_leaves_nothing_open(base_path, name):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        server = EmbeddedModelServer(base_path, MODEL, **{name: port})
        with pytest.raises(UserError, match=f"`{name}` must be free.*127.0.0.1:{port}"):
            server.start()
    assert refuses_connections(server.grpc_address)


def test_second_server_cannot_share_the_ports_of_the_first(server, base_path):
    port = int(server.grpc_address.split(":")[1])
    with pytest.raises(UserError, match="grpc_port"):
        EmbeddedModelServer(base_path, MODEL, grpc_port=port).start()


def test_stop_closes_both_ports_and_may_be_repeated(base_path):
    server = EmbeddedModelServer(base_path, MODEL).start()
    assert not refuses_connections(server.grpc_address)
    assert not refuses_connections(server.rest_address)
    server.stop()
    server.stop()
    assert refuses_connections(server.grpc_address)
    assert refuses_connections(server.rest_address)


class _PastDeadline:
    def time_remaining(self) -> float:
        return 0.0

    def abort(self, code, details):
        raise grpc.RpcError(code, details)


def test_request_that_nobody_waits_for_is_not_run():
    with pytest.raises(grpc.RpcError) as caught:
        PredictionService(model_versions=None).Predict(bad_request(), _PastDeadline())
    assert caught.value.args[0] is grpc.StatusCode.DEADLINE_EXCEEDED


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_run_serves_until_a_signal_and_puts_the_handlers_back(base_path, number):
    before = signal.getsignal(number)
    seen = []

    def on_ready(server):
        with ModelClient(server.grpc_address, MODEL) as client:
            seen.append((server.grpc_address, client.wait_until_available(5)))
        signal.raise_signal(number)

    model_server.run(base_path, MODEL, grpc_port=0, rest_port=0, on_ready=on_ready)
    ((address, version),) = seen
    assert version == NEWEST
    assert refuses_connections(address)
    assert signal.getsignal(number) is before


@pytest.fixture(scope="module")
def spoilt_base_path(base_path, tmp_path_factory):
    base = tmp_path_factory.mktemp("spoilt")
    shutil.copytree(base_path / str(NEWEST), base / "1")
    (base / "1" / "variables" / "variables.index").unlink()
    return base


def started(base_path, timeout=120.0):
    """A child that answers."""
    child = begin_in_subprocess(base_path, MODEL)
    finish_start(child, timeout)
    return child


@pytest.fixture(scope="module")
def starts(base_path, spoilt_base_path):
    """A child that starts and one that cannot, side by side because importing TensorFlow takes seconds."""
    with concurrent.futures.ThreadPoolExecutor() as pool:
        futures = {path: pool.submit(started, path) for path in (base_path, spoilt_base_path)}
        yield futures
        if futures[base_path].exception() is None:
            futures[base_path].result().stop()


def test_subprocess_that_dies_at_start_gives_its_reason(starts, spoilt_base_path):
    with pytest.raises(UserError, match=f"version 1 of model `{MODEL}` at `{spoilt_base_path / '1'}`"):
        starts[spoilt_base_path].result()


def test_subprocess_serves_and_stops_at_a_signal(starts, base_path):
    with starts[base_path].result() as child:
        with ModelClient(child.grpc_address, MODEL) as client:
            assert client.wait_until_available(5) == NEWEST
            assert client.predict("double", {"x": np.float32([4])})["y"].tolist() == [8.0]
        status = httpx.get(f"http://{child.rest_address}/v1/models/{MODEL}", trust_env=False)
        assert status.json()["model_version_status"][0]["state"] == "AVAILABLE"
        assert child.returncode is None
    assert child.returncode == 0
    assert refuses_connections(child.grpc_address)
    child.stop()


_PARENT = """
import sys
from unified_ranker.model_server.process import begin_in_subprocess, finish_start
child = begin_in_subprocess(sys.argv[1])
finish_start(child)
print(child.pid, flush=True)
sys.stdin.read()
"""


def test_subprocess_ends_with_a_parent_that_is_killed(base_path):
    command = [sys.executable, "-c", _PARENT, str(base_path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as parent:
        watch = os.pidfd_open(int(parent.stdout.readline()))
        try:
            parent.kill()
            ended, _, _ = select.select([watch], [], [], 30)
        finally:
            os.close(watch)
    assert ended, "the model server outlived its parent"


def test_subprocess_with_a_bad_path_is_refused_before_it_starts(tmp_path, monkeypatch):
    monkeypatch.setattr(subprocess, "Popen", None)
    with pytest.raises(UserError, match="does not exist"):
        started(tmp_path / "nowhere")


def test_subprocess_that_dies_without_a_word_shows_the_end_of_its_log(base_path, monkeypatch):
    monkeypatch.setenv("PYTHONHOME", "/no/such/python")
    with pytest.raises(UserError, match=r"exit code 1(.|\n)*/no/such/python"):
        started(base_path)


def test_subprocess_that_is_not_ready_in_time_is_ended(base_path):
    threads = threading.active_count()
    with pytest.raises(UserError, match=r"within 0\.01 s"):
        started(base_path, timeout=0.01)
    assert threading.active_count() <= threads


def test_subprocess_is_ended_when_waiting_for_it_is_interrupted(base_path, monkeypatch):
    children = []

    def interrupt(child, timeout):
        children.append(child)
        raise KeyboardInterrupt

    monkeypatch.setattr(ModelServerProcess, "wait_until_ready", interrupt)
    with pytest.raises(KeyboardInterrupt):
        started(base_path)
    assert children[0].returncode == -signal.SIGKILL


def test_main_reports_an_error_in_one_line_of_json(tmp_path, capsys):
    assert model_server.run_model_server([str(tmp_path)]) == model_server.USER_ERROR_EXIT_CODE
    (line,) = capsys.readouterr().out.splitlines()
    assert line.startswith('{"error": "`base_path` must')


def test_client_of_a_stopped_server_gets_an_error(base_path):
    with EmbeddedModelServer(base_path, MODEL) as server:
        client = ModelClient(server.grpc_address, MODEL)
        client.wait_until_available(5)
    with client, pytest.raises(ModelServerError, match="UNAVAILABLE"):
        client.predict("double", {"x": np.float32([1])})


def imported_from(start: str) -> set[str]:
    """Every module that importing `start` of this package leads to, by the import statements."""
    root = Path(model_server.__file__).parents[2]
    found: set[str] = set()
    pending = [start]
    while pending:
        name = pending.pop()
        if name in found:
            continue
        found.add(name)
        path = root / Path(*name.split(".")).with_suffix(".py")
        if path.is_file() and name.startswith("unified_ranker."):
            for node in ast.walk(ast.parse(path.read_text())):
                if isinstance(node, ast.Import):
                    pending += [alias.name for alias in node.names]
                elif isinstance(node, ast.ImportFrom):
                    pending.append(node.module)
    return found


def test_model_server_knows_no_model_of_ours():
    ours = {name for name in imported_from("unified_ranker.model_server.embedded_server") if "unified_ranker" in name}
    assert not {n for n in ours if not n.startswith(("unified_ranker.core.", "unified_ranker.model_server"))}


def test_starting_a_child_needs_no_tensorflow():
    names = imported_from("unified_ranker.model_server.process")
    assert not [name for name in names if "tensorflow" in name]
