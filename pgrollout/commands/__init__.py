"""
Commands: one module each, with a click command named ``command``.

A command reads flags into settings and a request, calls one function, and prints the answer to stdout. Log and progress
go to stderr.
"""
