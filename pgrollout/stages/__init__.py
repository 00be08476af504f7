"""
Stages: a module for each of the six and for restore, with its request, its report and the function between them.

``report = run(request)``. A stage may be repeated with the same request at any time: it finds what is already done
and says so. What goes wrong is raised as a ``PgrolloutError``, whose exit code tells what to do about it. Requests and
reports cross process boundaries, so they are pydantic models with a format version and hold no secret.

Beside them, what several share (``stage``, ``reviewed``, ``deciding``), and what has no stage: looking (``overview``) and
editing the history (``by_hand``).
"""
