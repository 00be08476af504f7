"""One wording for expressions that mean the same, and not for those that do not."""

import pytest

from pgrollout.catalog.folding import folded


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (
            "((a)::text = ANY ((ARRAY['x'::character varying, 'it''s]'::character varying])::text[]))",
            "((a)::text = ANY (ARRAY[('x'::character varying)::text, ('it''s]'::character varying)::text]))",
        ),
        (
            "((ARRAY[(ARRAY['x'::a])::b[], c])::d[])",
            "(ARRAY[(ARRAY[('x'::a)::b])::d, (c)::d])",
        ),
        ("SELECT NULL::integer AS int4", "SELECT NULL::integer"),
        ('SELECT x::character varying(20) AS "varchar",', "SELECT x::character varying(20),"),
        ('SELECT x::timestamp without time zone AS "timestamp"', "SELECT x::timestamp without time zone"),
        ("SELECT 'a'::shop.status AS status", "SELECT 'a'::shop.status"),
    ],
)
def test_two_wordings_are_one(one: str, other: str) -> None:
    """As the server writes it, and as it writes it after a restore."""
    assert folded(one) == folded(other)


@pytest.mark.parametrize(
    "text",
    [
        "'(ARRAY[a])::text[]'",
        "SELECT x::integer AS total",
        "SELECT '::integer AS int4'",
        "(ARRAY[a, b]",
        'SELECT "x::integer AS int4"',
    ],
)
def test_the_rest_stays(text: str) -> None:
    """What is in quotes, is called otherwise, or cannot be read is left as it is."""
    assert folded(text) == text
