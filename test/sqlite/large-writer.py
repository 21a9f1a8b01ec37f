"""One transaction of so many rows of 1 MiB. Arguments: database, rows. It leaves without closing, which would checkpoint."""
import os
import sqlite3
import sys

db = sqlite3.connect(sys.argv[1], isolation_level=None)
db.execute("PRAGMA wal_autocheckpoint = 0")
db.execute("PRAGMA synchronous = OFF")
db.execute("BEGIN IMMEDIATE")
for row in range(int(sys.argv[2])):
    db.execute("INSERT INTO t (a) VALUES (randomblob(1048576))")
db.execute("COMMIT")
os._exit(0)
