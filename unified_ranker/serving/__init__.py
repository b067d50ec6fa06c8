"""Ranking service: answers, HTTP API, model backends, and clients of TF Serving."""
