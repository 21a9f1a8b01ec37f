"""Receives datagrams as a service manager does, and prints each of them as a line of JSON with its sender's process ID.

Argument: the address, a path or "@" and a name of the abstract namespace.
"""
import json
import socket
import struct
import sys

address = sys.argv[1]
receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
receiver.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)
receiver.bind("\0" + address[1:] if address.startswith("@") else address)
print(json.dumps({"listening": address}), flush=True)
while True:
    text, ancillary, _, _ = receiver.recvmsg(65536, socket.CMSG_SPACE(12))
    pid = next(struct.unpack("iii", data)[0] for _, kind, data in ancillary if kind == socket.SCM_CREDENTIALS)
    print(json.dumps({"pid": pid, "lines": text.decode().split("\n")}), flush=True)
