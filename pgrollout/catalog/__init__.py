"""A schema as a value: what it consists of, read from the catalog, and what tells two of them apart."""
