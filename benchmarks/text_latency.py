"""How long each kind of text encoder takes for one query of 4, 8 and 16 words, as a loaded SavedModel answers it.

    python benchmarks/text_latency.py          # about a minute; writes benchmarks/results/text_latency.json

One query a call, one core, milliseconds of wall time: median and 99 % quantile. `distilled` is the graph of `hashed`;
`kept` is what the ranking service pays for a query that it was asked before (any kind), a look-up in its memory.
"""

import tempfile
import time
from collections.abc import Callable

import numpy as np
from machine import keep, machine

from unified_ranker.serving.answering.query_vectors import QueryVectorCache
from unified_ranker.towers.tensorflow import tf
from unified_ranker.towers.text import TextEncoder
from unified_ranker.towers.text.base import TextEncoding
from unified_ranker.towers.text.distilled import DistilledText
from unified_ranker.towers.text.hashed import HashedText
from unified_ranker.towers.text.transformer import TransformerText

DIM, CALLS, WORDS = 128, 400, (4, 8, 16)
SENTENCE = (
    "where can i find a cheap hotel near the airport with late check in and how do get from there to old town by train "
    "or bus do need visa for short transit in london when my passport expires next month what is best way carry cash"
)
VOCABULARY = SENTENCE.split()
KINDS = {
    "hashed": HashedText(),
    "distilled": DistilledText(type="distilled"),
    "transformer, minilm": TransformerText(type="transformer", teacher="minilm"),
    "transformer, use": TransformerText(type="transformer", teacher="use"),
}


def queries(words: int) -> list[str]:
    """Return `CALLS` queries of `words` words each."""
    rng = np.random.default_rng(words)
    return [" ".join(rng.choice(VOCABULARY, words)) for _ in range(CALLS)]


class Served(tf.Module):
    """An encoder, as a served model holds it."""

    def __init__(self, encoder: TextEncoder) -> None:
        """Keep what the graph of `encoder` needs."""
        super().__init__()
        self.kept = [*encoder.variables], list(encoder.resources)
        self.answer = tf.function(
            lambda query: {"query_embedding": encoder(query)}, input_signature=[tf.TensorSpec([None], tf.string)]
        )


def timed(call: Callable[[str], object], texts: list[str]) -> dict[str, float]:
    """Return the median and the 99 % quantile of `call` for each of `texts`, in milliseconds."""
    for text in texts[:20]:
        call(text)
    taken = []
    for text in texts:
        started = time.perf_counter()
        call(text)
        taken.append(1000 * (time.perf_counter() - started))
    return {"p50": round(float(np.median(taken)), 3), "p99": round(float(np.quantile(taken, 0.99)), 3)}


def timed_kind(config: TextEncoding) -> dict:
    """Export an encoder, load it, and time it."""
    encoder = config.build(DIM, np.array(VOCABULARY, object))
    with tempfile.TemporaryDirectory() as folder:
        served = Served(encoder)
        tf.saved_model.save(served, folder, signatures=served.answer.get_concrete_function())
        loaded = tf.saved_model.load(folder)
    run = loaded.signatures["serving_default"]
    return {
        str(n): timed(lambda text: run(query=tf.constant([text]))["query_embedding"].numpy(), queries(n)) for n in WORDS
    }


def timed_memory() -> dict:
    """Time the ranking service's memory for queries that it has."""

    def predict(signature: str, inputs: dict) -> dict:
        return {"query_embedding": np.zeros((len(inputs["query"]), DIM), np.float32)}

    call = QueryVectorCache().around(predict)
    out = {}
    for n in WORDS:
        texts = queries(n)
        for text in texts:
            call("encode", {"query": np.array([text], object)})
        out[str(n)] = timed(lambda text: call("encode", {"query": np.array([text], object)}), texts)
    return out


def main() -> None:
    """Measure all kinds and write the result into results/."""
    tf.config.threading.set_intra_op_parallelism_threads(1)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    before = machine()
    kinds = {name: timed_kind(config) for name, config in KINDS.items()} | {"kept": timed_memory()}
    what = "milliseconds for one query of 4, 8, 16 words, one core"
    keep("text_latency", {"what": what, "dim": DIM, "calls": CALLS, "kinds": kinds}, before)


if __name__ == "__main__":
    main()
