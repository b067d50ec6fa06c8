"""From a release to the store that other teams read: all vectors at a time, then what changes, as it does."""
