"""Version of the engine, for packaging, the command line and the HTTP API."""

__version__ = "0.1.0"
