"""Identifiers as text: from text, integers, decimals, floats, UUIDs and bytes, in every table alike."""

import uuid
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.types as pt

from unified_ranker.core.arrays import Mask
from unified_ranker.log.absent_words import without_absent
from unified_ranker.log.column_types import are_whole, as_mask, decoded, is_text, one_array

_POINT_ZERO = ".0"
_INTEGER = r"^\d+(\.0)?$"


@dataclass
class IdSummary:
    """Summary of all columns that hold the identifiers of one kind, such as items.

    pandas makes floats of integers beside nulls, and a file of text then holds `9.0`. The point goes where all columns
    of the kind hold such integers only, so that both tables name an item alike.

    Attributes:
        dotted: whether a value ends in `.0`.
        plain: whether all values are integers but for this end; only known where `thorough`.
        thorough: whether every value is looked at.
    """

    dotted: bool = False
    plain: bool = True
    thorough: bool = False

    def add(self, column: pa.ChunkedArray) -> None:
        """Add a part of a column."""
        column = decoded(column)
        if not is_text(column.type):
            return
        self.dotted = self.dotted or bool(pc.any(pc.ends_with(column, _POINT_ZERO)).as_py())
        if self.thorough and self.plain:
            text = without_absent(column.cast(pa.large_string()))
            self.plain = pc.all(pc.match_substring_regex(text, _INTEGER), min_count=0).as_py() is not False


def to_id_text(column: pa.ChunkedArray, repair: bool = False) -> tuple[pa.Array, Mask]:
    """Return identifiers as text, and the rows whose value is none.

    Args:
        column: `[rows]`.
        repair: whether `9.0` in text is `9`.

    Returns:
        Text `[rows]`: whole numbers as digits; sixteen bytes as a UUID; other bytes as the text that they hold, or
        else in hexadecimal digits. Numbers with a fraction, and values of other types, are marked.
    """
    column = decoded(column)
    kind = column.type
    if isinstance(kind, pa.BaseExtensionType):
        column = pa.chunked_array([chunk.storage for chunk in column.chunks], kind.storage_type)
        kind = column.type
    if is_text(kind) or pt.is_null(kind):
        text = column.cast(pa.large_string())
        return one_array(pc.replace_substring_regex(text, r"\.0$", "") if repair else text), np.zeros(len(column), bool)
    if pt.is_integer(kind):
        return one_array(column.cast(pa.large_string())), np.zeros(len(column), bool)
    if pt.is_floating(kind) or pt.is_decimal(kind):
        return _of_fractional(column)
    if pt.is_binary(kind) or pt.is_large_binary(kind) or pt.is_fixed_size_binary(kind):
        return pa.array([_of_bytes(v, kind) for v in column.to_pylist()], pa.large_string()), np.zeros(
            len(column), bool
        )
    return pa.nulls(len(column), pa.large_string()), as_mask(column.is_valid())


def _of_fractional(column: pa.ChunkedArray) -> tuple[pa.Array, Mask]:
    if pt.is_floating(column.type):
        column = column.cast(pa.float64())
        column = pc.if_else(pc.is_nan(column), pa.scalar(None, column.type), column)
        whole = are_whole(column)
        number = pc.if_else(whole, column, pa.scalar(None, column.type)).cast(pa.int64())
    else:
        whole = pc.equal(pc.floor(column), column)
        number = pc.floor(pc.if_else(whole, column, pa.scalar(None, column.type)))
        number = number.cast(pa.decimal256(number.type.precision, 0))
    bad = one_array(pc.invert(pc.fill_null(whole, True))).to_numpy(zero_copy_only=False)
    return one_array(number.cast(pa.large_string())), np.asarray(bad, bool)


def _of_bytes(value: bytes | None, kind: pa.DataType) -> str | None:
    if value is None:
        return None
    if pt.is_fixed_size_binary(kind) and len(value) == 16:
        return str(uuid.UUID(bytes=value))
    try:
        text = value.decode()
    except UnicodeDecodeError:
        return str(uuid.UUID(bytes=value)) if len(value) == 16 else value.hex()
    return text if text.isprintable() else value.hex()
