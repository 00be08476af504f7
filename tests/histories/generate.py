"""
Generate: makes histories up.
"""

from itertools import chain

from hypothesis import strategies as st

from tests.histories.files import Piece
from tests.histories.history import Add, Apply, Change, Die, Edit, Freeze, History, Remove, Step, Tamper, Together
from tests.histories.runs import ALONE, READS, WRITES
from tests.kill_matrix.case import Boundary, Phase, Way
from tests.kill_matrix.proxy import Side

_FAILS = (Piece.DUPLICATES, Piece.MISTAKE, Piece.ORPHAN)
_GOOD = st.sampled_from([piece for piece in Piece if piece not in _FAILS])
_BAD = st.sampled_from(_FAILS)


def _boundaries(side: Side, label: str, most: int) -> st.SearchStrategy[Boundary]:
    return st.builds(Boundary, st.just(side), st.just(label), st.integers(1, most), st.sampled_from(Phase))


_BOUNDARIES = st.one_of(
    _boundaries(Side.WORK, ALONE, 3),
    _boundaries(Side.WORK, ALONE, 2),
    _boundaries(Side.WORK, WRITES, 8),
    _boundaries(Side.WORK, WRITES, 4),
    _boundaries(Side.WORK, READS, 12),
    _boundaries(Side.WATCH, WRITES, 4),
    _boundaries(Side.WATCH, READS, 8),
)
_ADD = st.builds(Add, st.lists(_GOOD, max_size=4).map(tuple), st.booleans())
_ADD_BAD = st.builds(
    Add, st.tuples(_GOOD, _BAD) | st.tuples(_GOOD, _GOOD, _BAD, _GOOD) | st.tuples(_BAD, _GOOD), st.booleans()
)
_DIE = st.builds(Die, _BOUNDARIES, st.sampled_from([way for way in Way if way is not Way.FREEZE]), st.booleans())
_FREEZE = st.builds(Freeze, _BOUNDARIES, st.booleans(), st.booleans())
_EDIT = st.builds(Edit, st.sampled_from(Change), st.integers(0, 3), _GOOD)
_APPLY = st.builds(Apply, st.none() | st.integers(1, 2), st.booleans())
_TOGETHER = st.builds(Together, st.integers(2, 3), st.booleans())
_STEPS: st.SearchStrategy[tuple[Step, ...]] = st.one_of(
    st.tuples(_ADD, _DIE),
    st.tuples(_ADD, _FREEZE),
    st.tuples(_ADD, _TOGETHER),
    st.tuples(_ADD, _APPLY),
    st.tuples(_ADD_BAD, _APPLY, _EDIT),
    st.tuples(_ADD_BAD, _DIE, _EDIT, _DIE),
    st.tuples(_ADD_BAD, _FREEZE | _TOGETHER),
    st.tuples(_DIE),
    st.tuples(_DIE, _EDIT),
    st.tuples(_FREEZE),
    st.tuples(_APPLY),
    st.tuples(st.builds(Tamper, st.integers(0, 3))),
    st.tuples(st.just(Remove())),
)


@st.composite
def histories(draw: st.DrawFn, length: int = 8) -> History:
    """Draw a history: at first there is something to do, then that many things happen at most."""
    first = draw(st.lists(_ADD, min_size=1, max_size=2))
    later = draw(st.lists(_STEPS, min_size=2, max_size=length))
    return History((*first, *chain.from_iterable(later)), draw(st.booleans()))
