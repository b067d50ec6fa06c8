"""The ranking service without HTTP: answers, degradation, reload, measurements."""
