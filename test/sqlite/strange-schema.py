"""Makes a table whose schema needs what only this process has, then waits to be killed. Argument: the database."""
import sqlite3
import sys
import time

db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("PRAGMA writable_schema = ON")
db.execute(
    "INSERT INTO sqlite_schema (type, name, tbl_name, rootpage, sql)"
    " VALUES ('table', 'strange', 'strange', 0, 'CREATE VIRTUAL TABLE strange USING only_here(x)')"
)
print("made", flush=True)
time.sleep(600)
