"""
The kill matrix: real runs on real servers, killed at every message that they send, in every way, and run again.

What is looked at is the wire, the server's log and the data; nothing of the inside of apply is imported. ``proxy`` sees
the messages, ``labels`` names them, ``scenarios`` has the migrations, ``case`` kills, ``oracle`` judges, ``choosing`` picks
the few cases of the quick form, and ``python -m tests.kill_matrix`` runs all of them.
"""
