"""Recommender: the answers of a release to one request or to a table of them, in this process."""

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd
import pyarrow as pa

from unified_ranker.core.arrays import Strings
from unified_ranker.core.errors import UserError, unknown_name
from unified_ranker.core.progress import Listener
from unified_ranker.core.progress_display import shown_by
from unified_ranker.core.request import Request
from unified_ranker.log.column_types import is_country
from unified_ranker.log.given_tables import arrow_table
from unified_ranker.log.schema import Table
from unified_ranker.prepare.log_history import LogHistory
from unified_ranker.release.manifest import read_manifest
from unified_ranker.serving.answering.many_requests import in_batches
from unified_ranker.serving.answering.opened_release import OpenedRelease
from unified_ranker.serving.answering.project_log import project_log
from unified_ranker.serving.answering.recommending import Answer, Predict, answer_batch
from unified_ranker.serving.answering.request_table import answer_tables, requests_of
from unified_ranker.serving.retrieval.retriever import Retriever

logger = logging.getLogger(__name__)
SameTable = TypeVar("SameTable", pd.DataFrame, pa.Table)


class Recommender:
    """Recommender of a release: it answers requests in this process, with exact retrieval.

    The manifest is read at once; vectors, model and the project's log are opened when an answer first needs them.

    Example:
        recommender = Recommender("shop/releases/latest")
        answer = recommender.recommend(task="search", user_id="u1", query="blue drama", limit=3)
        [(item.title, item.score) for item in answer.items]

    Attributes:
        directory: of the release; `latest` is resolved when it is opened.
        manifest: of the release.
    """

    def __init__(
        self,
        release: str | Path,
        project: str | Path | None = None,
        *,
        predict: Predict | None = None,
        remark: Callable[[str], None] = logger.warning,
        progress: Listener | None = None,
    ) -> None:
        """Open a release.

        Args:
            release: its directory.
            project: the project whose log holds the histories. None: the one that the release belongs to.
            predict: runs a signature of the model. None: the model is loaded into this process.
            remark: is called with remarks, such as that the release's project is not found.
            progress: is called with the progress of tables. None: a bar at a terminal or in a notebook.

        Raises:
            UserError: there is no release.
        """
        given = Path(release)
        self.manifest = read_manifest(given)
        # Resolved, so that a newer release does not mix with this one.
        self.directory = given.resolve()
        self._project = None if project is None else Path(project)
        self._given_predict, self._remark, self._progress = predict, remark, progress

    @property
    def tasks(self) -> tuple[str, ...]:
        """Names of the tasks that the release declares."""
        return tuple(self.manifest.config.tasks)

    @property
    def item_ids(self) -> Strings:
        """Ids of the release's items, `[items]`."""
        return self.release.item_ids

    @cached_property
    def release(self) -> OpenedRelease:
        """The release's declarations and items."""
        return OpenedRelease.open(self.directory)

    @cached_property
    def log(self) -> LogHistory | None:
        """The project's event log; None where the release's project is not found.

        Raises:
            UserError: the project is not the release's, or its data cannot be read.
        """
        return project_log(self.directory, self._project, self._remark)

    @cached_property
    def _retrieve(self) -> Retriever:
        return Retriever(self.release)

    @cached_property
    def _predict(self) -> Predict:
        return self._given_predict or load_predict(self.directory)

    def recommend(
        self,
        *,
        task: str,
        user_id: str = "",
        query: str = "",
        source_item_id: str = "",
        query_item_id: str = "",
        country: str = "",
        history: Iterable[Mapping[str, object]] | Table | None = None,
        timestamp: datetime | str | int | None = None,
        limit: int = 0,
    ) -> Answer:
        """Answer one request. Unknown users, items and countries are ordinary input.

        Example:
            recommender = Recommender("shop/releases/latest")
            seen = [{"item_id": "i5", "event_type": "click", "task": "search", "timestamp": "2024-02-01T12:00:00Z"}]
            recommender.recommend(task="more_like_this", source_item_id="i9", history=seen).to_frame()

        Args:
            task: name of the surface, such as `search`.
            user_id: of the user; "" for none.
            query: what the user typed.
            source_item_id: the item that the user looks at.
            query_item_id: an item that must not be its own answer.
            country: two capital letters (ISO 3166 alpha-2); "" where it is unknown.
            history: events of the user, with `item_id`, `timestamp` and optionally `event_type`, `task`, `value`.
                None: the history in the project's log.
            timestamp: time of the request, as in a table: only earlier events count. None: now.
            limit: number of items; 0: as the task declares.

        Raises:
            UserError: an unknown task, or a field of the wrong form.
        """
        fields = {
            "task": task,
            "user_id": user_id,
            "query": query,
            "source_item_id": source_item_id,
            "query_item_id": query_item_id,
            "country": country,
            "history": history,
            "timestamp": timestamp,
            "limit": limit,
        }
        return next(self.answer([self.request(fields)]))

    def recommend_table(self, requests: SameTable, limit: int = 0) -> SameTable:
        """Answer a table of requests by a table of the same kind, pandas or Arrow.

        Example:
            requests = pd.DataFrame({"user_id": ["u1", "u2"], "task": "home_feed"})
            answers = Recommender("shop/releases/latest").recommend_table(requests, limit=3)

        Args:
            requests: `[requests, columns]`: `user_id`, `task` and optionally `query`, `source_item_id`,
                `query_item_id`, `country`, `timestamp`, `limit`, `history` (lists of structs), as for `recommend`.
            limit: for rows without one of their own; 0: as many as the task declares.

        Returns:
            Columns `row` (of the request, from 0), `rank` (from 1), `item_id`, `score`.

        Raises:
            UserError: a column is missing, unknown or of the wrong type, or a row is no request.
        """
        table = arrow_table("requests", requests)
        rows = requests_of(table, self.tasks, lambda: self.log, limit)
        with shown_by(self._progress):
            answers = pa.concat_tables(answer_tables(self.answer(rows), len(rows)))
        return answers if isinstance(requests, pa.Table) else answers.to_pandas()

    def request(self, fields: Mapping[str, Any]) -> Request:
        """Return the request of some fields, checked as a row of a table is; None stands for an absent field.

        Raises:
            UserError: see `recommend`.
        """
        task, country = fields["task"], fields.get("country")
        if task not in self.tasks:
            raise unknown_name("task", str(task), self.tasks)
        if country and not is_country(str(country)):
            upper = str(country).upper()
            hint = f" Did you mean `{upper}`?" if is_country(upper) else ""
            raise UserError(
                "`country` must be two capital letters (ISO 3166 alpha-2), such as GB. "
                f"Received: `{country}`.{hint} Leave it out where it is unknown."
            )
        columns = {name: _column(name, value) for name, value in fields.items() if value is not None}
        columns.setdefault("user_id", pa.array([""]))
        return requests_of(pa.table(columns), self.tasks, lambda: self.log, 0)[0]

    def answer(self, requests: Sequence[Request]) -> Iterator[Answer]:
        """Answer requests in their order. A limit of 0 means the task's own.

        Raises:
            UserError: the release has no such task.
            ModelOutputError: the model's outputs are invalid.
        """
        for request in requests:
            self.release.require_task(request.task)
        # Opened here, and not by one of the threads.
        release, predict, retrieve = self.release, self._predict, self._retrieve
        yield from in_batches(requests, lambda part: answer_batch(release, part, predict, retrieve))


def load_predict(release: Path) -> Predict:
    """Load the model of a release into this process, and return the function that runs its signatures."""
    # Imported here, because TensorFlow takes seconds to import.
    from unified_ranker.serving.backends.in_process_model import InProcessModel

    return InProcessModel.of_release(release).predict


def _column(name: str, value: Any) -> pa.Array:
    """Return a field of one request as a column `[1]`."""
    try:
        if name != "history":
            return pa.array([value])
        if isinstance(value, pa.Table | pd.DataFrame):
            events = arrow_table(name, value).combine_chunks().to_struct_array().combine_chunks()
            return pa.LargeListArray.from_arrays(pa.array([0, len(events)], pa.int64()), events)
        rows = list(value)
        return pa.array([rows]) if rows else pa.nulls(1)
    except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
        if isinstance(error, UserError):
            raise
        raise UserError(
            f"`{name}` must have the form of a table's column. Received: {value!r}: {str(error).rstrip('.')}. "
            "Correct it, or leave it out."
        ) from error
