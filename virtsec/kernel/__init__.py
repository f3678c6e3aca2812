"""Thin, named edges over system calls that Python has no function for.

Each module names the kernel header or document its constants come from. Nothing here decides.
"""
