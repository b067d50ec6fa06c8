"""Layer of the text encoder that has its teacher in the served graph."""

import hashlib

import numpy as np

from unified_ranker.towers.tensorflow import tf
from unified_ranker.towers.text.base import TextEncoder, Tokens
from unified_ranker.towers.text.teachers import Teacher
from unified_ranker.towers.text.teachers.vectors import teacher_vectors

WORD = r"[\p{L}\p{N}]"


class TransformerTextEncoder(TextEncoder, tf.keras.layers.Layer):
    """Projection of a pre-trained sentence encoder's vector v: normalise(W v + B gelu(A v)).

    W starts as the principal components of the titles (`begin_with`), B at zero, so that similar texts are similar from
    the first step. The joint job does not train the teacher. Outside a graph, each text's vector is computed once on a
    machine (`teachers.vectors`); inside, as in the served model, from the string.

    The part of a text is the teacher's `vector` `[n, teacher.dim]`, zero for a text without a word.
    """

    parts = ("vector",)
    pairs_rate = 1e-3
    costly = True

    def __init__(self, dim: int, teacher: Teacher, residual: int, tuned_layers: int) -> None:
        """Build for vectors of `dim`.

        Args:
            dim: width of the vectors.
            teacher: the sentence encoder.
            residual: hidden units of B and A; 0: the projection is linear.
            tuned_layers: last layers of the teacher that fine-tuning changes; 0: none.
        """
        super().__init__(name="text")
        self.teacher, self.tuned_layers = teacher, tuned_layers
        self.resources = (teacher.tokenizer,)
        width = teacher.dim
        scaled = tf.keras.initializers.RandomNormal(stddev=width**-0.5)
        self.projection = self.add_weight("projection", (width, dim), initializer=scaled)
        # With a deviation of 0.4 hidden units see numbers around 0.4, since a teacher's vector has unit length.
        wide = tf.keras.initializers.RandomNormal(stddev=0.4)
        self.grow = self.add_weight("grow", (width, residual), initializer=wide) if residual else None
        self.shrink = self.add_weight("shrink", (residual, dim), initializer="zeros") if residual else None

    def tokenise(self, text: tf.Tensor) -> Tokens:
        """Turn strings `[n]` into the teacher's vectors."""
        clean = tf.strings.unicode_transcode(text, "UTF-8", "UTF-8", errors="replace")
        if tf.executing_eagerly():
            vectors = tf.constant(teacher_vectors(self, [t.decode() for t in clean.numpy().reshape(-1)]))
        else:
            vectors = self.teacher(clean)
        some = tf.strings.regex_full_match(clean, rf"(?s).*{WORD}.*")
        return Tokens({"vector": tf.where(some[:, None], vectors, 0.0)})

    def embed(self, tokens: Tokens) -> tf.Tensor:
        """Return unit-length vectors `[n, dim]`; zero for texts without a word."""
        return self.project(tokens.parts["vector"])

    def project(self, vectors: tf.Tensor) -> tf.Tensor:
        """Project the teacher's vectors `[n, teacher.dim]` to unit vectors `[n, dim]`."""
        out = tf.matmul(vectors, self.projection)
        if self.grow is not None:
            out += tf.matmul(tf.nn.gelu(tf.matmul(vectors, self.grow)), self.shrink)
        return out * tf.math.rsqrt(tf.reduce_sum(out**2, 1, keepdims=True) + 1e-6)

    def begin_with(self, vectors: np.ndarray) -> None:
        """Set the projection to the principal components of `vectors` `[n, teacher.dim]`, half-whitened.

        A component of variance s² is scaled by s^-½, so that the few strongest components do not hide the differences
        between similar texts. The mean is not removed, so that no text becomes zero.
        """
        energy, axes = np.linalg.eigh(vectors.T.astype(np.float64) @ vectors / max(len(vectors), 1))
        dim = self.projection.shape[1]
        energy, axes = energy[::-1][:dim], axes[:, ::-1][:, :dim]
        scale = np.maximum(energy, energy[0] * 1e-6) ** -0.25
        start = axes * scale
        length = np.linalg.norm(vectors @ start, axis=1).mean() if len(vectors) else 1.0
        start = np.pad(start / max(length, 1e-9), [(0, 0), (0, dim - start.shape[1])])
        self.projection.assign(start.astype(np.float32))

    # --- the teacher side, for `teacher_vectors` ---------------------------------------------------------------------

    @property
    def dim(self) -> int:
        """Width of the teacher's vectors."""
        return self.teacher.dim

    @property
    def name_on_disk(self) -> str:
        """Name that is unique to the teacher's weights; a fine-tuned teacher has one of its own."""
        name = f"{self.teacher.name_on_disk}-{self.teacher.max_tokens}"
        if not self.tuned_layers:
            return name
        digest = hashlib.sha256()
        for variable in self.teacher.upper(self.tuned_layers):
            digest.update(variable.numpy().tobytes())
        return f"{name}-{digest.hexdigest()[:16]}"

    def embed_strings(self, texts: tf.Tensor) -> tf.Tensor:
        """Return the teacher's vectors of strings `[n]`, as the graph computes them."""
        return self.teacher(texts)
