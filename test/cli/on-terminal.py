"""Runs a program on a terminal, and types what it is asked for.

Arguments: JSON of [[expected text, keys], ...], then the program and its arguments. Prints what the program showed, without
control sequences, and ends as it did.
"""
import fcntl, json, os, pty, re, select, struct, sys, termios, time

LIMIT_S = 30
CONTROL = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")

steps, command = json.loads(sys.argv[1]), sys.argv[2:]
pid, terminal = pty.fork()
if pid == 0:
    # Without a size each character would be a line.
    fcntl.ioctl(0, termios.TIOCSWINSZ, struct.pack("HHHH", 60, 240, 0, 0))
    os.execvp(command[0], command)
shown, seen = "", 0
deadline = time.monotonic() + LIMIT_S
while time.monotonic() < deadline:
    if not select.select([terminal], [], [], 0.1)[0]:
        continue
    try:
        data = os.read(terminal, 65536)
    except OSError:
        data = b""
    if not data:
        break
    shown += CONTROL.sub("", data.decode("utf8", "replace"))
    while steps and steps[0][0] in shown[seen:]:
        expected, keys = steps.pop(0)
        seen = shown.index(expected, seen) + len(expected)
        os.write(terminal, keys.encode())
else:
    os.kill(pid, 9)
_, status = os.waitpid(pid, 0)
print(shown)
print("NOT ASKED:", steps) if steps else None
sys.exit(os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else 70)
