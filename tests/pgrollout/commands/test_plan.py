"""``pgrollout plan``: every form of a file on a real server, as a reviewer reads it."""

import re
from pathlib import Path

import pytest

from tests.project import Project
from tests.servers import Database

FILES = {
    "1_one.sql": "CREATE TABLE made (id int);\nCREATE INDEX CONCURRENTLY made_id ON made (id);\n",
    "2_cut.sql": """\
ALTER TABLE app.t ADD b int;
CREATE INDEX CONCURRENTLY t_b ON app.t (b);
VACUUM FULL app.t;
COMMENT ON TABLE app.t IS 'Cut.';
""",
    "3_enum.sql": "ALTER TYPE mood ADD VALUE 'calm';\nINSERT INTO felt VALUES ('calm');\n",
    "4_none.sql": """\
-- atlas:txmode none
-- pgrollout:stall_budget 5s

DROP INDEX CONCURRENTLY old;
BEGIN;
SELECT 1;
COMMIT;
SELECT 2;
""",
    "5_empty.sql": "-- Nothing.\n",
}
TEXT = """\
Plan for default: 5 migrations, 13 statements
Current version: none
Backup before:   dump
Stall budget:    1000 ms
Release:         sha256:…
Digest:          sha256:…

1_one.sql
  transaction: the file is one transaction; statement 2 builds its index in plain form, for its table is made here
    line 1    CREATE TABLE made (id int);
    line 2    CREATE INDEX CONCURRENTLY made_id ON made (id);

2_cut.sql
  transaction: one transaction, beside what cannot run in it
    line 1    ALTER TABLE app.t ADD b int;
  alone: CREATE INDEX CONCURRENTLY cannot run in a transaction; online, or in plain form inside the file's transaction while app.t has at most 1 MiB
    line 2    CREATE INDEX CONCURRENTLY t_b ON app.t (b);
  alone: VACUUM FULL cannot run in a transaction; within the stall budget, for everybody else waits for it
    line 3    VACUUM FULL app.t;
  transaction: one transaction, beside what cannot run in it
    line 4    COMMENT ON TABLE app.t IS 'Cut.';

3_enum.sql
  transaction: the file is one transaction; cut after statement 1 if the server asks for it (55P04)
    line 1    ALTER TYPE mood ADD VALUE 'calm';
    line 2    INSERT INTO felt VALUES ('calm');

4_none.sql  (asks for a stall budget of 5000 ms)
  alone: DROP INDEX CONCURRENTLY cannot run in a transaction
    line 4    DROP INDEX CONCURRENTLY old;
  block: txmode none: the file's own transaction
    line 5    BEGIN;
    line 6    SELECT 1;
    line 7    COMMIT;
  statement: txmode none: each statement commits by itself, outside a transaction where it must
    line 8    SELECT 2;

5_empty.sql
  transaction: the file is one transaction
"""  # noqa: E501  it is what is printed


@pytest.fixture
def project(tmp_path: Path, database: Database) -> Project:
    """A project with every form of a file, and nothing applied."""
    project = Project(tmp_path, database)
    project.write(FILES)
    return project


def test_every_form_of_a_file(project: Project) -> None:
    """Each segment says how it is run and why; what is not decided yet, by which rule it will be."""
    shown = project.run("plan")

    assert shown.stderr == ""
    assert re.sub(r"sha256:[0-9a-f]{64}", "sha256:…", shown.stdout) == TEXT


def test_the_same_as_markdown(project: Project) -> None:
    """Kinds and reasons stand above each block of SQL, and nothing of them is markup."""
    project.write({"6_odd.sql": 'CREATE INDEX CONCURRENTLY ON "a<b>" (x);\n'})

    shown = project.run("plan", "--format", "markdown").stdout

    assert "*alone*: VACUUM FULL cannot run in a transaction; within the stall budget" in shown
    assert "while a&lt;b&gt; has at most 1 MiB" in shown
    assert "| stall budget | 1000 ms |" in shown


def test_a_file_that_loses_something_has_no_plan(project: Project) -> None:
    """It ends with 3, with both places."""
    project.write({"6_lost.sql": "SET LOCAL search_path = app;\nCREATE INDEX CONCURRENTLY i ON t (x);\n"})

    refused = project.run("plan")

    assert refused.returncode == 3
    assert refused.stderr.startswith(
        "Error: 6_lost.sql:1:1: what SET LOCAL sets ends with its transaction, and line 2 runs in another one.\n"
    )
