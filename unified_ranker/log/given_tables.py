"""Tables that a program passes in, as pandas or Arrow, and the errors for other arguments."""

import pandas as pd
import pyarrow as pa

from unified_ranker.core.errors import UserError
from unified_ranker.log.schema import Table


def arrow_table(name: str, table: Table) -> pa.Table:
    """Return a pandas or Arrow table in Arrow form.

    NaN in a `pandas.DataFrame` means null, as everywhere in pandas. A named index is a column.

    Args:
        name: of the argument, for errors.
        table: `[rows, columns]`.

    Raises:
        UserError: it is no table, or a column of it has no type that Arrow knows.
    """
    if isinstance(table, pa.Table):
        return table
    if not isinstance(table, pd.DataFrame):
        raise UserError(
            f"`{name}` must be a pandas.DataFrame or a pyarrow.Table. Received: {type(table).__name__}. "
            "Read files with `pandas.read_parquet` or `pyarrow.parquet.read_table`."
        )
    named = any(level is not None for level in table.index.names)
    try:
        return pa.Table.from_pandas(table.reset_index() if named else table, preserve_index=False)
    except (pa.ArrowException, ValueError, TypeError) as error:
        said = " ".join(str(part).rstrip(".") for part in error.args)
        raise UserError(
            f"`{name}` must have columns of one type each. Received: {said}. Correct the column."
        ) from error
