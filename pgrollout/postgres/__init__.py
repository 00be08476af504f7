"""
Everything that talks to a server: connections, the embedded server, shadow databases, history, ledger, dumps.

Takes a ``Connection`` or a database's settings and returns dataclasses; what is to be done is decided elsewhere.
"""
