"""pgrollout takes a Git folder of plain SQL migrations to a PostgreSQL database in six guarded stages."""

__version__ = "0.1.0"
