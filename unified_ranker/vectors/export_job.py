"""Job that embeds everything: one stage for each kind, in shards that any engine can make in any order."""

import json

from unified_ranker.core.digests import sha256, short_digest
from unified_ranker.engines.job import Job, Stage
from unified_ranker.release.layout import RELEASE_MANIFEST
from unified_ranker.vectors.embedding_source import ITEM_ROWS, USER_ROWS, EmbeddingSource, query_task, user_task
from unified_ranker.vectors.embedding_stages import EmbedItemsStage, EmbedQueriesStage, EmbedUsersStage

STAGES_BY_KIND = {"item": "items", "user": "users", "query": "queries"}
"""Names of the stages by the kind of their entries."""


def embedding_job(source: EmbeddingSource, data_key: str) -> Job:
    """Return the job; kinds without rows have no stage.

    Args:
        source: the rows to embed, and the release.
        data_key: names the prepared data.
    """
    stages = (
        Stage(STAGES_BY_KIND["item"], -(-source.items // ITEM_ROWS), EmbedItemsStage(source)),
        Stage(STAGES_BY_KIND["user"], -(-source.users // USER_ROWS), EmbedUsersStage(source)),
        Stage(STAGES_BY_KIND["query"], 1 if source.queries else 0, EmbedQueriesStage(source)),
    )
    return Job(_key(source, data_key), tuple(stage for stage in stages if stage.shards))


def _key(source: EmbeddingSource, data_key: str) -> str:
    """Return the digest of all that the vectors depend on: the same key gives the same bytes."""
    tasks = [user_task(source.config), query_task(source.config) if source.queries else ""]
    sizes = [ITEM_ROWS, USER_ROWS, source.items, source.users, source.config.export.embeddings.queries.most]
    depends_on = [sha256(source.release / RELEASE_MANIFEST), data_key, source.as_of, tasks, sizes]
    return short_digest(json.dumps(depends_on))
