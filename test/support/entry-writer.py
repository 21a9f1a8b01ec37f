"""The same as entry-writer.ts, through Python's sqlite3.

A SQLite with the WAL-reset bug (3.7.0 to 3.51.2 but for the fixed 3.44.6 and 3.50.7) may lose commits of its own accord when it
checkpoints beside another process, with or without Afterimage. Such a library writes here with autocheckpoint off, so
that what is tested is Afterimage; a newer one keeps its default.
"""
import json
import os
import signal
import sqlite3
import sys
import time

path, name, pause_ms = sys.argv[1], sys.argv[2], float(sys.argv[3])
version = sqlite3.sqlite_version_info
fixed = version >= (3, 51, 3) or version[:2] == (3, 44) and version[2] >= 6 or version[:2] == (3, 50) and version[2] >= 7
stopping = False


def stop(_signal, _frame):
    global stopping
    stopping = True


signal.signal(signal.SIGTERM, stop)
db = sqlite3.connect(path)
if not fixed:
    db.execute("PRAGMA wal_autocheckpoint = 0")
committed = 0
while not stopping:
    try:
        with db:
            payload = os.urandom(100 + committed * 53 % 900)
            db.execute("INSERT INTO entry (writer, number, payload) VALUES (?, ?, ?)", (name, committed + 1, payload))
        committed += 1
    except sqlite3.OperationalError as error:
        if "locked" not in str(error):
            raise
    time.sleep(pause_ms / 1000)
if not fixed:
    # The last connection that closes checkpoints as well.
    print(json.dumps({"committed": committed}), flush=True)
    os._exit(0)
db.close()
print(json.dumps({"committed": committed}))
