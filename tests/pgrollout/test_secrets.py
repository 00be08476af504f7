"""Passwords in statements are never shown, whatever way SQL has of writing them."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pgrollout.secrets import blank_secrets, mask_message, mask_statement

SECRET = "S3cret"


@pytest.mark.parametrize(
    ("statement", "shown"),
    [
        ("ALTER ROLE a PASSWORD 'S3cret'", "ALTER ROLE a PASSWORD '***'"),
        ("ALTER ROLE a password'S3cret' LOGIN", "ALTER ROLE a password'***' LOGIN"),
        ("ALTER ROLE a ENCRYPTED PASSWORD 'x''S3cret' LOGIN", "ALTER ROLE a ENCRYPTED PASSWORD '***' LOGIN"),
        (r"ALTER ROLE a PASSWORD E'x\'S3cret' LOGIN", "ALTER ROLE a PASSWORD '***' LOGIN"),
        (r"ALTER ROLE a PASSWORD E'\'S3cret' LOGIN", "ALTER ROLE a PASSWORD '***' LOGIN"),
        (r"ALTER ROLE a PASSWORD E'\\' VALID UNTIL 'x'", "ALTER ROLE a PASSWORD '***' VALID UNTIL 'x'"),
        (r"ALTER ROLE a PASSWORD '\' VALID UNTIL 'x'", "ALTER ROLE a PASSWORD '***' VALID UNTIL 'x'"),
        (r"ALTER ROLE a PASSWORD E'S3cret\\' VALID UNTIL 'x'", "ALTER ROLE a PASSWORD '***' VALID UNTIL 'x'"),
        (r"ALTER ROLE a PASSWORD 'S3cret\' VALID UNTIL 'x'", "ALTER ROLE a PASSWORD '***' VALID UNTIL 'x'"),
        ("ALTER ROLE a PASSWORD U&'S3cret' UESCAPE '!'", "ALTER ROLE a PASSWORD '***' UESCAPE '!'"),
        ("ALTER ROLE a PASSWORD $$x'S3cret$$ LOGIN", "ALTER ROLE a PASSWORD '***' LOGIN"),
        ("ALTER ROLE a PASSWORD $pw$x$$S3cret$pw$ LOGIN", "ALTER ROLE a PASSWORD '***' LOGIN"),
        ("ALTER ROLE a PASSWORD /* its */ 'S3cret'", "ALTER ROLE a PASSWORD /* its */ '***'"),
        ("ALTER ROLE a PASSWORD -- it's\n 'S3cret'", "ALTER ROLE a PASSWORD -- it's\n '***'"),
        ("ALTER ROLE a PASSWORD 'x'\n  'S3cret' LOGIN", "ALTER ROLE a PASSWORD '***' LOGIN"),
        ("ALTER ROLE a PASSWORD 'S3cret", "ALTER ROLE a PASSWORD '***'"),
        ("ALTER ROLE a PASSWORD ',S3cret' LOGIN", "ALTER ROLE a PASSWORD ***"),
    ],
)
def test_a_role_s_password_is_masked(statement: str, shown: str) -> None:
    """Every kind of literal, comments and line breaks before it, escaped quotes in it."""
    assert mask_statement(statement) == shown


@pytest.mark.parametrize(
    ("statement", "shown"),
    [
        ("OPTIONS (user 'u', password 'S3cret', host 'h')", "OPTIONS (user 'u', password '***', host 'h')"),
        ("""OPTIONS (ADD "password" 'S3cret')""", """OPTIONS (ADD "password" '***')"""),
        ("OPTIONS (SET sslpassword 'S3cret', a 'b')", "OPTIONS (SET sslpassword '***', a 'b')"),
        ("OPTIONS (SET oauth_client_secret 'S3cret')", "OPTIONS (SET oauth_client_secret '***')"),
        ("CONNECTION 'host=h password=S3cret dbname=d' ", "CONNECTION 'host=h password=*** dbname=d' "),
        ("CONNECTION 'password=x;\"S3cret dbname=d'", "CONNECTION 'password=*** dbname=d'"),
        ("CONNECTION 'password = ''x S3cret'' dbname=d'", "CONNECTION 'password = '***' dbname=d'"),
        (r"CONNECTION 'password=''x\''S3cret x'' dbname=d'", "CONNECTION 'password='***' dbname=d'"),
        (r"CONNECTION 'password=''\''S3cret x'' dbname=d'", "CONNECTION 'password='***' dbname=d'"),
        (r"CONNECTION 'password=\ S3cret dbname=d'", "CONNECTION 'password=*** dbname=d'"),
        (r"CONNECTION 'password=x\ S3cret dbname=d'", "CONNECTION 'password=*** dbname=d'"),
        (r"CONNECTION E'password=\'x S3cret\' dbname=d'", "CONNECTION E'password=*** dbname=d'"),
        ("CONNECTION 'postgresql://u:S3cret@h/d' PUBLICATION p", "CONNECTION 'postgresql://u:***@h/d' PUBLICATION p"),
        ("CONNECTION 'postgresql://u:x@S3cret@h/d'", "CONNECTION 'postgresql://u:***@h/d'"),
        ("CONNECTION 'postgresql://:x''S3cret@h/d?a=b'", "CONNECTION 'postgresql://:***@h/d?a=b'"),
        ("CONNECTION 'postgresql://h/d?user=u&password=S3cret'", "CONNECTION 'postgresql://h/d?user=u&password=***'"),
        (
            "dblink_connect('c', $$host=h password=S3cret dbname=d$$)",
            "dblink_connect('c', $$host=h password=*** dbname=d$$)",
        ),
        ('SELECT \'{"password": "x S3cret", "a": 1}\'', 'SELECT \'{"password": ***, "a": 1}\''),
    ],
)
def test_a_connection_s_password_is_masked(statement: str, shown: str) -> None:
    """User mappings, and the connection strings and URLs of subscriptions and dblink."""
    assert mask_statement(statement) == shown


@pytest.mark.parametrize(
    "statement",
    [
        "DO $$ BEGIN EXECUTE 'CREATE ROLE a PASSWORD ''S3cret'' LOGIN'; END $$",
        "DO $$ BEGIN EXECUTE 'CREATE ROLE a PASSWORD ''x''''S3cret'''; END $$",
        "DO 'BEGIN EXECUTE ''CREATE ROLE a PASSWORD ''''S3cret''''''; END'",
        "DO $$ BEGIN EXECUTE format('CREATE ROLE a PASSWORD %L', 'S3cret'); END $$",
        "DO $$ BEGIN EXECUTE format('CREATE ROLE a PASSWORD %1$L VALID UNTIL %2$L', 'S3cret', 'x'); END $$",
        "DO $$ BEGIN EXECUTE 'CREATE ROLE a PASSWORD ' || quote_literal('S3cret'); END $$",
        "UPDATE users SET password = 'x''S3cret' WHERE name = 'bob'",
        "UPDATE users SET password = crypt('S3cret', gen_salt('bf')) WHERE name = 'bob'",
    ],
)
def test_a_password_inside_a_program_is_masked(statement: str) -> None:
    """Quotes may be doubled, and passwords put together: then everything behind is masked."""
    assert SECRET not in mask_statement(statement)
    assert "***" in mask_statement(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER ROLE a PASSWORD NULL",
        "CREATE TABLE a (password text NOT NULL, name text DEFAULT 'x')",
        "COMMENT ON COLUMN a.password IS 'bcrypt'",
        "CREATE INDEX password_idx ON t (a) WHERE kind = 'x'",
        "SELECT password::text FROM a WHERE b = 'x'",
        "INSERT INTO t (password) VALUES (1)",
        "SELECT 'https://example.com/a:b'",
        "SELECT 1 -- the password",
        "",
    ],
)
def test_what_is_no_password_stays(statement: str) -> None:
    """A column's name or a comment's word hides nothing of a statement."""
    assert mask_statement(statement) == statement


@given(st.text(), st.sampled_from(["PASSWORD ", "password=", "x://u:"]), st.text())
def test_masking_never_fails(before: str, word: str, after: str) -> None:
    """Any text at all can be shown, and what stands before the password is shown as it is."""
    assert mask_statement(before + word + after)


@given(st.text(min_size=1))
@example("'")
@example("'x")
@example("''x")
@example("x'")
def test_any_password_is_masked(password: str) -> None:
    """Whatever the password is, its literal is gone and the rest of the statement is there."""
    literal = "'" + password.replace("'", "''") + "'"

    shown = mask_statement(f"ALTER ROLE a PASSWORD {literal} LOGIN;")

    # Nothing but quotes could be the quotes of a nested string, and then the rest is masked as well.
    only_quotes = not password.strip("'")
    allowed = ["ALTER ROLE a PASSWORD '***'"] if only_quotes else []
    assert shown in ("ALTER ROLE a PASSWORD '***' LOGIN;", "ALTER ROLE a PASSWORD ***", *allowed)


@pytest.mark.parametrize("text", ["password " + "'" * 50_000, "password=" * 10_000, "PASSWORD E'" + "\\'" * 50_000])
def test_hostile_text_is_masked_in_time(text: str) -> None:
    """Text made to be slow is masked at once; a test that hangs says that it is not."""
    assert len(mask_statement(text)) <= len(text) + 5


@pytest.mark.parametrize(
    ("statement", "shown"),
    [
        ("ALTER ROLE a PASSWORD /* a /* b */ c */ 'S3cret'", "ALTER ROLE a PASSWORD /* a /* b */ c */ '***'"),
        (
            "DO $$ DECLARE p text := 'S3cret'; BEGIN EXECUTE format('ALTER ROLE a PASSWORD %L', p); END $$",
            "DO $$ DECLARE p text := ***",
        ),
        (
            "DO $do$ DECLARE p text := $$S3cret$$; BEGIN EXECUTE 'ALTER ROLE a PASSWORD ' || quote_literal(p); END $do$",
            "DO $do$ DECLARE p text := ***",
        ),
        ("DO 'DECLARE p text := ''S3cret''; BEGIN EXECUTE format(''PASSWORD %L'', p); END'", "DO ***"),
    ],
)
def test_what_a_password_is_put_together_from_is_masked(statement: str, shown: str) -> None:
    """Wherever in the statement it stands; nested comments hide nothing."""
    assert mask_statement(statement) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("SELECT 1;\nSELECT 2;", "SELECT 1;\nSELECT 2;"),
        ("CREATE ROLE r PASSWORD\n  'S3cret' oops;", "CREATE ROLE r PASSWORD\n  ******** oops;"),
        ("SELECT 1;\nCREATE ROLE r PASSWORD 'S3\r\ncret'", "SELECT 1;\nCREATE ROLE r PASSWORD ***\r\n*****"),
        (
            "DO $$BEGIN EXECUTE format('PASSWORD %L', 'S3cret'); END$$; SELECT 'shown';",
            f"DO $$BEGIN EXECUTE format({'*' * 32} SELECT 'shown';",
        ),
        ("CREATE ROLE r PASSWORD 'S3cret", "CREATE ROLE r PASSWORD *******"),
    ],
)
def test_a_file_keeps_its_places(text: str, shown: str) -> None:
    """Each character of a secret is hidden by one, line breaks are kept, and the next statement is not touched."""
    assert blank_secrets(text) == shown
    assert len(shown) == len(text)


def test_an_error_message_does_not_name_the_secret() -> None:
    """The server quotes the token that its error points at; of a secret it is hidden, of anything else it is not."""
    text = "CREATE ROLE r PASSWORD 'S3cret' 'x';"
    message = "syntax error at or near \"'S3cret'\""

    assert mask_message(message, text, text.index("'S3")) == 'syntax error at or near "***"'
    assert mask_message(message, text, 0) == message
    assert mask_message(message, text, None) == message
