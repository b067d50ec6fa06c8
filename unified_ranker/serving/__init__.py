"""The ranking service, the TF Serving client and the embedded model server."""
