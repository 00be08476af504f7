"""The place in a log: reading begins again at a whole second, and yet tells each line once."""

from hypothesis import given
from hypothesis import strategies as st

from pgrollout.kubernetes.log import Cursor


@given(
    st.lists(st.tuples(st.integers(0, 3), st.integers(0, 2)), max_size=30),
    st.lists(st.integers(0, 30), max_size=5),
)
def test_each_line_is_told_once(moments: list[tuple[int, int]], cuts: list[int]) -> None:
    """Wherever the connection was cut, and however many lines are of one moment."""
    stamps = sorted(f"2026-11-30T10:00:0{second}.{part:09d}Z" for second, part in moments)
    log = [f"{stamp} line {number}" for number, stamp in enumerate(stamps)]
    cursor, told = Cursor(), []

    for cut in [*cuts, len(log)]:
        cursor.restart()
        since = (cursor.since or "")[:19]
        sent = [line for line in log if line[:19] >= since]
        told += [text for line in sent[:cut] if (text := cursor.read(line)) is not None]
    cursor.restart()
    told += [text for line in log if (text := cursor.read(line)) is not None]

    assert told == [f"line {number}" for number in range(len(log))]
