"""
Synthetic migrations: small ones, as real ones are, each a table, an index and a column.
"""

from pathlib import Path

from pgrollout.migration import Migration
from pgrollout.sum_file import sum_of

FIRST_VERSION = 20200101000000


def statements(number: int) -> list[str]:
    """Return the SQL of one migration."""
    table = f"bench_{number}"
    return [
        f"CREATE TABLE {table} (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL);",
        f"CREATE INDEX {table}_name_idx ON {table} (name);",
        f"ALTER TABLE {table} ADD COLUMN note text DEFAULT 'a;b';",
    ]


def migrations(count: int) -> list[Migration]:
    """Return that many migrations."""
    return [
        Migration(f"{FIRST_VERSION + i}_bench_{i}.sql", ("\n".join(statements(i)) + "\n").encode())
        for i in range(1, count + 1)
    ]


def write_directory(count: int, folder: Path) -> Path:
    """Write them with their sum file, and return the folder."""
    folder.mkdir(parents=True)
    made = migrations(count)
    for migration in made:
        (folder / migration.name).write_bytes(migration.content)
    (folder / "atlas.sum").write_text(sum_of(made).text())
    return folder


def write_psql(count: int, file: Path) -> Path:
    """Write the same for psql: one process, a transaction and a row in a ledger for each migration."""
    with file.open("w") as script:
        script.write("CREATE TABLE ledger (version text PRIMARY KEY);\n")
        for i in range(1, count + 1):
            body = "\n".join(statements(i))
            script.write(f"BEGIN;\n{body}\nINSERT INTO ledger VALUES ('{FIRST_VERSION + i}');\nCOMMIT;\n")
    return file


def write_big(size_bytes: int, folder: Path) -> tuple[Path, Path]:
    """Write a directory with one file of INSERTs of that size; return the file and the folder."""
    folder.mkdir(parents=True)
    file, written = folder / f"{FIRST_VERSION}_big.sql", 0
    with file.open("w") as script:
        script.write("CREATE TABLE item (id bigint, name text);\n")
        while written < size_bytes:
            written += script.write(
                f"INSERT INTO item (id, name) VALUES ({written}, 'one; two, a name that is long enough to matter');\n"
            )
    made = Migration(file.name, file.read_bytes())
    (folder / "atlas.sum").write_text(sum_of([made]).text())
    return file, folder
