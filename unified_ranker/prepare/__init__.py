"""Preparation: stages from Arrow tables to Arrow tables that make point-in-time examples, and the prepared format."""
