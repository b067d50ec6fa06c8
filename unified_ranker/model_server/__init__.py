"""Embedded model server: a stand-in that speaks TF Serving's gRPC and REST API on one machine."""
