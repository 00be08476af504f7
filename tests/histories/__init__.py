"""
Random histories: what a team may do to a database within a week, in any order, and is it right when the dust has settled?

``history`` has what may happen, as values, and ``files`` what a migration may say; ``generate`` makes histories up; ``play``
has one happen: ``desk`` is where the files are written and edited, ``runs`` what runs do, behind the proxy of the kill matrix;
``judge``, and the oracle of the kill matrix, tell what is wrong in the end.
``python -m tests.histories`` searches for hours.
"""
