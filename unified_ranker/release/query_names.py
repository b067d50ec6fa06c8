"""Names that the model and its callers share; apart, so that a caller needs no TensorFlow."""

EMBED, ENCODE = "embed_queries", "encode_embedded"
"""Signatures for a caller that keeps the vectors of queries: `query` `[batch]` to `query_embedding` `[batch, dim]`, and
`encode` with these beside the request. Only models whose text encoder is costly have them."""
