"""Clients of a TF Serving server, which need no TensorFlow."""
