"""Puts this directory on the path, so that tests in it can import `fakes` and `samples`."""
