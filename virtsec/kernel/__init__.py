"""Thin, named edges over system calls: no function of Python does it, or none tells errors apart.

Each module names the kernel header or document its constants come from. Nothing here decides.
"""
