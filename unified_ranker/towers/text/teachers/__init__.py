"""Pre-trained sentence encoders, from their published weights, with their tokenizers in the graph."""

from typing import Protocol

from unified_ranker.towers.tensorflow import text_ops, tf


class Teacher(Protocol):
    """Pre-trained sentence encoder: strings to unit vectors, by TensorFlow ops alone.

    Attributes:
        name_on_disk: its name in names of files.
        dim: width of its vectors.
        max_tokens: pieces of a text that it reads.
        tokenizer: what the served graph must keep besides the weights.
    """

    name_on_disk: str
    dim: int
    max_tokens: int
    tokenizer: object

    def tokenise(self, texts: tf.Tensor) -> tf.RaggedTensor:
        """Turn strings `[n]` into pieces `[n, (pieces)]`."""

    def embed(self, pieces: tf.RaggedTensor) -> tf.Tensor:
        """Return unit vectors `[n, dim]`."""

    def __call__(self, texts: tf.Tensor) -> tf.Tensor:
        """Embed strings `[n]` as unit vectors `[n, dim]`."""

    def upper(self, layers: int) -> list[tf.Variable]:
        """Return the weights of the last `layers` layers."""


def build_teacher(name: str, max_tokens: int) -> Teacher:
    """Load the teacher called `name`, fetching its weights where the user's cache lacks them.

    Raises:
        UserError: when TensorFlow Text is not installed, or the weights cannot be had.
    """
    text_ops()
    if name == "minilm":
        from unified_ranker.towers.text.teachers.minilm import MiniLm

        return MiniLm(max_tokens=max_tokens)
    from unified_ranker.towers.text.teachers.use import Use

    return Use(max_tokens=max_tokens)
