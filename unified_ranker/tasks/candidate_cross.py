"""First cross of the ranking head, whose inputs are products of a request's vectors and a candidate's."""

from collections.abc import Callable

from unified_ranker.towers.tensorflow import tf, tfrs


class CandidateCross(tfrs.layers.dcn.Cross):
    """Cross of low rank, x0 · (V U x + b) + x (DCN-v2, arXiv 2008.13535, eq. 2), whose U x0 the caller may compute.

    Most columns of the head's x0 are the candidate's vector times a vector of the request. Their part of U x0 is one
    product with a matrix of the request, a third of the work; so the caller, who knows the columns, computes it.
    """

    def build(self, input_shape: tf.TensorShape) -> None:
        """Make the two matrices, which the library makes at their first call."""
        super().build(input_shape)
        self._dense_v(self._dense_u(tf.zeros([1, input_shape[-1]])))

    def call(
        self, x0: tf.Tensor, x: tf.Tensor | None = None, project: Callable[[tf.Tensor], tf.Tensor] | None = None
    ) -> tf.Tensor:
        """Return crosses `[n, width]` of `x0` `[n, width]` and `x`.

        Args:
            x0: the inputs of the first cross.
            x: the outputs of the cross before; None: `x0`.
            project: computes U x0 `[n, rank]` from U `[width, rank]`, for the first cross.
        """
        if project is None:
            return super().call(x0, x)
        # One more in the bias, in place of a sum of two wide tensors.
        scale = tf.nn.bias_add(tf.matmul(project(self._dense_u.kernel), self._dense_v.kernel), self._dense_v.bias + 1.0)
        return x0 * scale
