"""What virtsec can do, as a library: the command line is built on nothing else.

Each function takes a `Host` (see `virtsec.commands.host.open_host`), raises the errors of
`virtsec.errors` and returns one of the frozen dataclasses of `virtsec.commands.results`.
"""
