"""A session by TensorFlow's C API: what goes in and comes out, its memory, and that TensorFlow's Python stays out."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from model_server_toy import NEWEST, WARMUP_REQUESTS, base_path  # noqa: F401

from unified_ranker.core.signature_names import WARMUP_REQUESTS as WARMUP_FILE
from unified_ranker.model_server.savedmodels import session_options
from unified_ranker.serving.backends import native_session
from unified_ranker.serving.backends.native_session import NativeSession, SessionError, tensorflow_library
from unified_ranker.serving.backends.recorded_calls import recorded_calls

TEXTS = ["", "a", "é" * 11, "x" * 22, "x" * 23, "long " * 100, "with\0zero", "zero at the end\0"]


@pytest.fixture(scope="module")
def directory(base_path):  # noqa: F811
    return base_path / str(NEWEST)


@pytest.fixture(scope="module")
def session(directory):
    return NativeSession(directory, tensorflow_library())


def test_texts_of_any_length_go_in_and_come_out(session):
    given = np.array([TEXTS, TEXTS[::-1]], object).reshape(-1)
    found = session.run("echo", {"text": given})
    assert [value.decode() for value in found["text"]] == TEXTS + TEXTS[::-1]
    lengths = session.run("lengths", {"text": given})["length"]
    assert lengths.tolist() == [len(text.encode()) for text in TEXTS + TEXTS[::-1]]


def test_numbers_of_every_type_go_in_and_come_out(session):
    given = {
        "f32": np.array([1.5, -2], np.float32),
        "f64": np.array([1e300, 0]),
        "i32": np.array([7, -7], np.int32),
        "u8": np.array([0, 254], np.uint8),
        "flag": np.array([True, False]),
    }
    found = session.run("types", given)
    for name, right in (("f32", [-1.5, 2]), ("f64", [-1e300, 0]), ("i32", [-7, 7]), ("u8", [1, 255])):
        assert found[name].tolist() == right
        assert found[name].dtype == given[name].dtype
    assert found["flag"].tolist() == [False, True]
    assert session.run("negated_half", {"x": np.array([0.5], np.float16)})["y"].tolist() == [-0.5]


def test_arrays_that_are_empty_or_not_contiguous(session):
    assert session.run("double", {"x": np.zeros(0, np.float32)})["y"].shape == (0,)
    assert session.run("echo", {"text": np.zeros(0, object)})["text"].shape == (0,)
    rows = np.arange(12, dtype=np.float32).reshape(6, 2)
    assert session.run("fails_above_ten", {"x": rows[:5:2]})["sum"] == rows[:5:2].sum()


def test_another_type_or_shape_is_refused_and_named(session):
    for given, said in (
        (np.array([1.0]), "float32.*float64"),
        (np.zeros((1, 1), np.float32), r"float32 \[\?\].*\[1, 1\]"),
    ):
        with pytest.raises(SessionError, match=said) as caught:
            session.run("double", {"x": given})
        assert caught.value.reason == "INVALID_ARGUMENT"


def resident_mib():
    return (
        int(next(line for line in Path("/proc/self/status").read_text().splitlines() if "VmRSS" in line).split()[1])
        // 1024
    )


def test_calls_leave_nothing_in_memory(session):
    given = np.array(["text " * 200] * 1_000, object)
    session.run("echo", {"text": given})
    before = resident_mib()
    for _ in range(300):
        session.run("echo", {"text": given})
    assert resident_mib() - before < 100, "300 MB of texts went in"


def test_what_is_no_model_is_refused(tmp_path):
    with pytest.raises(SessionError) as caught:
        NativeSession(tmp_path, tensorflow_library())
    assert caught.value.reason == "NOT_FOUND"


def test_recorded_requests_are_those_that_were_written(directory, tmp_path):
    found = list(recorded_calls(directory))
    assert [name for name, _ in found] == ["count"] * WARMUP_REQUESTS
    assert found[0][1]["x"].tolist() == [1]
    assert list(recorded_calls(tmp_path)) == []
    whole = (directory / WARMUP_FILE).read_bytes()
    (tmp_path / WARMUP_FILE).parent.mkdir()
    for cut in (5, len(whole) - 3):
        (tmp_path / WARMUP_FILE).write_bytes(whole[:cut])
        with pytest.raises(ValueError, match="breaks off"):
            list(recorded_calls(tmp_path))


def test_the_options_are_those_of_the_embedded_model_server():
    assert native_session._OPTIONS.SerializeToString() == session_options().SerializeToString()


def test_the_python_of_tensorflow_is_not_imported(directory):
    program = f"""
import sys
import numpy as np
from pathlib import Path
from unified_ranker.serving.backends.in_process_model import InProcessModel
model = InProcessModel(Path({str(directory)!r}), 1)
model.start()
assert model.predict("double", {{"x": np.float32([2])}})["y"].tolist() == [4]
assert "tensorflow" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stderr == "", "what the library logs of its own work is not for people who ask for recommendations"
