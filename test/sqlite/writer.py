"""An application that writes through Python's sqlite3 until it is killed. Argument: the database.

A SQLite with the WAL-reset bug (3.7.0 to 3.51.2) may lose commits of its own accord when it checkpoints beside another
process, with or without Afterimage: autocheckpoint is off here, so that what is tested is Afterimage.
"""
import os
import sqlite3
import sys
import time

db = sqlite3.connect(sys.argv[1], timeout=20, isolation_level=None)
db.execute("PRAGMA wal_autocheckpoint = 0")
committed = 0
while True:
    db.execute("BEGIN IMMEDIATE")
    db.execute("INSERT INTO t (a, b) VALUES (?, ?)", (os.urandom(committed * 37 % 2000), str(committed)))
    db.execute("UPDATE t SET b = ? WHERE id % 97 = ?", (str(committed), committed % 97))
    db.execute("COMMIT")
    committed += 1
    print(committed, flush=True)
    time.sleep(0.001)
