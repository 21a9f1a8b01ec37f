"""Has a database for itself until it is killed. Argument: the database."""
import sqlite3
import sys
import time

db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("PRAGMA locking_mode = EXCLUSIVE")
db.execute("INSERT INTO t (a) VALUES (1)")
print("held", flush=True)
time.sleep(600)
