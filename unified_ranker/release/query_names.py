"""Names that the served model and its callers share; in a file of their own, so that a caller needs no TensorFlow."""

EMBED, ENCODE = "embed_queries", "encode_embedded"
"""Signatures for a caller that caches the vectors of queries. The first turns `query` `[batch]` into `query_embedding`
`[batch, dim]`, the second is `encode` with `query_embedding` as an input. Only models with a costly text encoder have
them."""
