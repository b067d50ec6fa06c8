"""The served graph alone: encode and rank by TensorFlow's C API (`native/graph.c`), as a fleet's TF Serving runs them.

    python benchmarks/graph.py           # results/graph.json; half a minute, with a release that is there

No Python runs between the calls, so this is the limit of what a service can reach with the same graph. Requests are
those of the load of `serving.py`, recorded with the states and candidates that the service sends.
"""

import argparse
import itertools
import json
import struct
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from asked import recorded_requests
from building import built
from machine import keep, machine
from synthetic_release import make_project

REQUESTS, ROUNDS = 150, 4
"""Requests that are recorded, and how often each is answered."""


def measure_graph(release: Path, requests: list[Any]) -> dict[str, Any]:
    """Run recorded requests, one at a time and two, with operations in TensorFlow's threads and in the caller's."""
    saved_model, script = recorded(release, requests)
    with tempfile.NamedTemporaryFile() as file:
        file.write(script)
        file.flush()
        program, out = str(program_of_graph()), {}
        for threads, operations in itertools.product((1, 2), ("pool", "caller")):
            command = [program, str(saved_model), file.name, str(threads), operations, str(ROUNDS)]
            done = subprocess.run(command, capture_output=True, text=True, check=False)
            if done.returncode:
                raise SystemExit(done.stderr)
            out[f"threads_{threads}_{operations}"] = json.loads(done.stdout)
    return out


def program_of_graph() -> Path:
    """Build the program against the TensorFlow that is installed."""
    import tensorflow as tf

    home = Path(tf.__file__).parent
    libraries = [f"-L{home}", "-l:libtensorflow_cc.so.2", "-l:libtensorflow_framework.so.2", f"-Wl,-rpath,{home}"]
    return built("graph.c", "gcc", "-O2", "-pthread", f"-I{home}/include", "{source}", "-o", "{target}", *libraries)


def recorded(release: Path, requests: list[Any]) -> tuple[Path, bytes]:
    """Answer requests in this process; returns the SavedModel and the script of the calls."""
    from unified_ranker.model_server.savedmodels import load_saved_model, session_options
    from unified_ranker.release.index import load_index
    from unified_ranker.release.layout import Layout
    from unified_ranker.serving.answering.opened_release import OpenedRelease
    from unified_ranker.serving.answering.recommending import answer_batch
    from unified_ranker.serving.retrieval.retriever import Retriever

    opened, layout = OpenedRelease.open(release), Layout(release)
    model, calls = load_saved_model(layout.saved_model(), opened.version), []

    def predict(signature: str, inputs: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        calls.append((signature, dict(inputs)))
        return model.signature(signature).run(inputs)

    retrieve = Retriever(opened, load_index(layout.index, opened.vectors))
    for request in requests:
        answer_batch(opened, [request], predict, retrieve)
    (encode, _), (rank, _) = calls[:2]
    encoded, ranked = model.definitions[encode], model.definitions[rank]
    order = sorted(encoded.outputs)
    links = [(order.index(name), ranked.inputs[name].name) for name in order if name in ranked.inputs]
    script = [_text(session_options().SerializeToString())]
    for definition in (encoded, ranked):
        names = sorted(definition.outputs)
        script += [struct.pack("<I", len(names)), *(_text(definition.outputs[name].name) for name in names)]
    script.append(struct.pack("<I", len(links)))
    script += [struct.pack("<I", number) + _text(name) for number, name in links]
    script.append(struct.pack("<I", len(calls) // 2))
    for signature, inputs in calls:
        definition = model.definitions[signature]
        fed = {name: array for name, array in inputs.items() if signature == encode or name not in order}
        script.append(struct.pack("<I", len(fed)))
        script += [
            _text(definition.inputs[name].name) + _tensor(array, definition.inputs[name].dtype)
            for name, array in fed.items()
        ]
    return layout.saved_model(), b"".join(script)


def _text(value: str | bytes) -> bytes:
    raw = value if isinstance(value, bytes) else value.encode()
    return struct.pack("<I", len(raw)) + raw


def _tensor(array: np.ndarray, kind: int) -> bytes:
    head = struct.pack(f"<II{array.ndim}q", kind, array.ndim, *array.shape)
    if array.dtype == object:
        return head + b"".join(_text(value) for value in array.flat)
    return head + np.ascontiguousarray(array).tobytes()


def main() -> None:
    """Measure, and keep the result."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--directory", type=Path, default=Path(tempfile.gettempdir()) / "unified_ranker_benchmark")
    parser.add_argument("--items", type=int, default=1_000_000)
    options = parser.parse_args()
    described, release = machine(), make_project(options.directory, options.items)
    result = measure_graph(release, recorded_requests(options.directory, options.items, REQUESTS))
    keep("graph", {"items": options.items, **result}, described)


if __name__ == "__main__":
    main()
