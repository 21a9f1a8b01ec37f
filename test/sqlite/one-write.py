"""Tries to write once and prints what came of it. Argument: the database."""
import sqlite3
import sys

db = sqlite3.connect(sys.argv[1], timeout=0, isolation_level=None)
try:
    db.execute("INSERT INTO t (a) VALUES (1)")
    print("written", flush=True)
except sqlite3.OperationalError as error:
    print(error, flush=True)
