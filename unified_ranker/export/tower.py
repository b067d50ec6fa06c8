"""A tower of a release as a layer of somebody else's Keras model, frozen or trained on."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal

from unified_ranker.core.signature_names import EMBED_ITEMS, ENCODE, ITEM_VECTOR, QUERY_VECTOR
from unified_ranker.release.layout import Layout
from unified_ranker.release.manifest import read_manifest
from unified_ranker.towers.tensorflow import text_ops, tf

OUTPUT_BY_SIGNATURE = {ENCODE: QUERY_VECTOR, EMBED_ITEMS: ITEM_VECTOR}


class SavedTower(tf.keras.layers.Layer):
    """Turns the fields of requests or of items into embeddings, by the graph that the release serves.

    Look-up, imputation and text are inside, so that the other model takes the raw strings, too. Of the model around
    it the layer is an ordinary part: saved with it, and trained with it where `trainable` is set.

    Args:
        release: its directory.
        signature: `encode` for users and requests, `embed_items` for items (inputs: docs/reference/served-model.md).
        trainable: whether the weights that the signature uses are trained; the vectors of items within histories stay.

    Example:
        tower = SavedTower(Path("releases/latest"), "encode", trainable=True)
        model = tf.keras.Sequential([tower, tf.keras.layers.Dense(20, "sigmoid")])
    """

    def __init__(
        self, release: Path, signature: Literal["encode", "embed_items"] = "encode", *, trainable: bool = False
    ) -> None:
        """Load the release's model."""
        super().__init__(trainable=trainable, name=f"{signature}_of_release", dtype="float32")
        manifest = read_manifest(release)
        if manifest.has_text_ops:
            text_ops()
        self.dim = manifest.config.towers.item.dim
        self._model = tf.saved_model.load(str(Layout(release).saved_model()))
        self._call, self._output = self._model.signatures[signature], OUTPUT_BY_SIGNATURE[signature]
        self.fields = self._call.structured_input_signature[1]
        # What only other outputs use would be trained by nothing.
        embed = tf.function(self.embed, input_signature=[self.fields], autograph=False)
        self.tower_weights = [v for v in embed.get_concrete_function().variables if v.trainable]

    @property
    def item_vectors(self) -> tf.Variable:
        """The vectors of the catalogue by which histories are read, `[items + 1, dim]`; the last row is of none."""
        return self._model.vectors

    def call(self, inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Return unit vectors `[batch, dim]`."""
        return self.embed(inputs)

    def embed(self, inputs: Mapping[str, tf.Tensor]) -> tf.Tensor:
        """Return unit vectors `[batch, dim]`; the quality part of an item's vector is left out."""
        return self._call(**inputs)[self._output][:, : self.dim]
