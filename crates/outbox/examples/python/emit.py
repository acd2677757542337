"""A service in Python that emits events: it renames families in PostgreSQL, and each rename is told of by an event.

    pip install -r requirements.txt
    python emit.py postgres://localhost/families 100 Quill Quince

Each name after the id is a transaction of its own. The last argument "FAIL" makes one that is rolled back.
"""

import json
import sys
import uuid

import psycopg


def rename(connection: psycopg.Connection, family: int, name: str) -> None:
    """Renames a family. The event is there if and only if the change is."""
    with connection.transaction():
        connection.execute(
            "INSERT INTO family (id, name) VALUES (%s, %s) ON CONFLICT (id) DO UPDATE SET name = EXCLUDED.name",
            (family, name),
        )
        connection.execute(
            "INSERT INTO segno_outbox (id, source, type, subject, aggregate_key, data)"
            " VALUES (%s, %s, %s, %s, %s, %s)",
            (
                str(uuid.uuid4()),
                "/families",
                "family.renamed",
                f"family/{family}",
                # Events of one key are published in the order in which they were committed.
                f"family/{family}",
                json.dumps({"familyId": family, "name": name}),
            ),
        )
        if name == "FAIL":
            raise ValueError("this family is not renamed")


def main() -> None:
    url, family, *names = sys.argv[1:]
    with psycopg.connect(url, autocommit=True) as connection:
        for name in names:
            try:
                rename(connection, int(family), name)
            except ValueError as error:
                print(error, file=sys.stderr)


if __name__ == "__main__":
    main()
