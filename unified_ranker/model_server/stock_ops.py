"""Check that a graph has only ops of stock TF Serving: those of TensorFlow and of TF Text's tokenizers."""

from collections.abc import Iterable
from pathlib import Path

from unified_ranker.core.errors import UserError
from unified_ranker.model_server.messages import saved_model_pb2
from unified_ranker.model_server.plain_tensorflow import tf

TEXT_OP_NAMES = frozenset(
    {
        "FastBertNormalize", "FastSentencepieceTokenize", "FastWordpieceTokenizeWithOffsets", "NormalizeUTF8",
        "NormalizeUTF8WithOffsetsMap",
        "RegexSplitWithOffsets", "SentencepieceOp", "SentencepieceTokenizeOp", "SentencepieceTokenizeWithOffsetsOp",
        "UnicodeScriptTokenizeWithOffsets", "WhitespaceTokenizeWithOffsetsV2", "WordpieceTokenizeWithOffsets",
    }
)  # fmt: skip
"""Ops of TF Text that TF Serving's build links (tensorflow_serving/model_servers/BUILD, `SUPPORTED_TENSORFLOW_OPS`)."""
FOREIGN_PREFIXES = ("Scann",)
"""Prefixes of ops that another library may have registered in this process, and that TF Serving does not have."""


def ops_of(saved_model: Path) -> set[str]:
    """Return the names of all ops of a SavedModel, those of its functions included."""
    read = saved_model_pb2.SavedModel.FromString((saved_model / "saved_model.pb").read_bytes())
    found: set[str] = set()
    for meta_graph in read.meta_graphs:
        found |= {node.op for node in meta_graph.graph_def.node}
        functions = meta_graph.graph_def.library.function
        found |= {node.op for function in functions for node in function.node_def}
        found -= {function.signature.name for function in functions}
    return found


def foreign_ops(ops: Iterable[str]) -> list[str]:
    """Return the ops that stock TF Serving does not have, sorted."""
    known = set(tf.raw_ops.__dict__)
    return sorted(
        op
        for op in ops
        if op.removeprefix("TFText>") not in TEXT_OP_NAMES and (op not in known or op.startswith(FOREIGN_PREFIXES))
    )


def require_stock_ops(saved_model: Path) -> None:
    """Refuse a SavedModel that stock TF Serving would not load.

    Raises:
        UserError: the graph has other ops, which the message names.
    """
    foreign = foreign_ops(ops_of(saved_model))
    if foreign:
        raise UserError(
            f"`{saved_model}` must hold stock TensorFlow ops only. Received: {', '.join(foreign[:5])}, which "
            "tensorflow/serving does not have. Write the graph without them."
        )
