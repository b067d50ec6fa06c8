"""The ranking service: answers, HTTP, backends of the model and the clients of TF Serving."""
