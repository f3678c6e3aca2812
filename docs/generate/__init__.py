"""Writes `docs/reference` and `docs/man` from the code: `make reference`.

What is said there is said once, in the code: in the help of commands, in docstrings and the
comments `#:` of fields, in the schema of fleet files. The modules named after a page read that into
blocks (`block.py`), which `markdown.py` and `roff.py` write down.
"""
