"""Names of the served model: its signatures, their inputs and outputs, and its file of warm-up requests.

The fields of a request and of its history are in `core.request`, the states of an encoded request in
`tasks.encoded_state`, and a ranked candidate has an output of each head, by the head's name.
"""

WARMUP_REQUESTS = "assets.extra/tf_serving_warmup_requests"
"""File of recorded requests below a version's directory, which TF Serving replays before the version is available."""
ENCODE, RANK_ENCODED, RANK = "encode", "rank_encoded", "rank"
"""Signatures that encode requests, rank candidates of encoded ones, and do both in one call."""
DEFAULT_SIGNATURE = "serving_default"
"""Signature that a call without a name means: the same as `rank`."""
RECOMMEND = "recommend"
"""Signature that answers from the whole catalogue."""
EMBED_ITEMS = "embed_items"
"""Signature that embeds items from their fields."""
RANK_LIVE = "rank_live"
"""Signature that ranks as `rank_encoded` does, by what came since the release was written."""
RANK_TITLED = "rank_titled"
"""Signature that ranks as `rank_live` does, with the titles of what the release does not know. Models of earlier
releases have none."""
RANK_KNOWN = "rank_known"
"""Signature that ranks as `rank_live` does, for candidates that the release knows, given by their indices. Models of
earlier releases have none."""
ENCODE_LIVE = "encode_live"
"""Signature for a caller that counts popularity itself: `encode` with `trending`, the most popular items as of now.
Only models with a popularity in the quality vector have it; their `rank_live` and `rank_known` take `popularity`."""
EMBED_QUERIES, ENCODE_EMBEDDED = "embed_queries", "encode_embedded"
"""Signatures for a caller that caches the vectors of queries. The first turns `query` `[batch]` into `query_embedding`
`[batch, dim]`, the second is `encode_live` (`encode` in models that have none) with `query_embedding` as an input. Only
models with a costly text encoder have them."""

QUERY_VECTOR = "query_vector"
"""Output of `encode`: `[batch, dim + quality]`, whose dot product with an item vector is the retrieval score."""
IMPUTED_QUERY = "imputed_query"
"""Output of `encode`: the query that was used, given or imputed, `[batch]`; "" for none."""
PROPOSED_IDS = "proposed_ids"
"""Output of `encode`: items that the signals propose, `[batch, n]`; "" is none."""
PROPOSED_INDICES = "proposed"
"""Output of `encode_live` in place of `proposed_ids`: indices in the release's catalogue; -1 is none."""
CANDIDATE_IDS = "candidate_ids"
"""Input of the signatures that rank: `[batch, n]`; "" is none."""
CANDIDATE_INDICES = "candidates"
"""Input of `rank_known` in place of `candidate_ids`: indices in the release's catalogue, `[batch, n]`; -1 is none."""
FINAL_SCORE, RETRIEVAL_SCORE = "score", "retrieval_score"
"""Outputs of the signatures that rank, `[batch, n]`, beside one of each head."""
TRENDING_INDICES = "trending"
"""Input of `encode_live`: the most popular items by index in the catalogue, `[batch, popularities, n]`; -1 is none."""
LIVE_ROW, LIVE_VECTORS = "live_place", "live_vectors"  # Releases that are served have the first by this name.
"""Inputs of `rank_live`: row in the vectors of a candidate that the release does not know, `[batch, n]`, -1 where it
knows it; and such vectors, `[batch, live, dim + quality]`."""
LIVE_TITLES = "live_titles"
"""Input of `rank_titled`: titles of the items whose vectors are given, `[batch, live]`; "" where absent."""
POPULARITY_NOW = "popularity"
"""Input of `rank_live` and `rank_known` where the release counts: as of the requests, `[batch, n, popularities]`; NaN:
as released."""
LIMIT = "limit"
"""Input of `recommend`: most items of an answer, `[batch]`; 0 stands for the task's own."""
ITEM_IDS, SCORES = "item_ids", "scores"
"""Outputs of `recommend`, `[batch, limit]`; "" and -inf behind the end."""
ITEM_VECTOR = "item_vector"
"""Output of `embed_items`: `[batch, dim + quality]`."""
QUERY_FIELD, QUERY_EMBEDDING = "query", "query_embedding"
"""Input and output of `embed_queries`."""

RESERVED_OUTPUTS = frozenset({FINAL_SCORE, RETRIEVAL_SCORE})
"""Names that no head may have."""
