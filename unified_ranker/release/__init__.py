"""Releases: immutable directories, their layout, manifest, item vectors, index and verification. No TensorFlow."""
