"""Reading of tables as they lie: files of any usual format and queries become tables in the form of the log."""
