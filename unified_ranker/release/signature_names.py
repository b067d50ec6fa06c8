"""Names that the served model and its callers share; in a file of their own, so that a caller needs no TensorFlow."""

ENCODE_LIVE = "encode_live"
"""Signature for a caller that counts popularity itself: `encode` with `trending`, the most popular items as of now.
Only models with a popularity in the quality vector have it, and their `rank_live` takes `popularity`."""
EMBED, ENCODE_EMBEDDED = "embed_queries", "encode_embedded"
"""Signatures for a caller that caches the vectors of queries. The first turns `query` `[batch]` into `query_embedding`
`[batch, dim]`, the second is `encode_live` (`encode` in models that have none) with `query_embedding` as an input. Only
models with a costly text encoder have them."""
