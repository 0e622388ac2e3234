"""``systemctl`` on a machine: hands the call to the machine's first process over its socket.

python -S -m localcloud.hosts.systemctl --machine DIR verb [--now] unit…
"""

from __future__ import annotations

import json
import os
import socket
import sys


def main(argv: list[str]) -> int:
    """Exit code as systemctl's: 0, 1 (failed), 3 (not active), 5 (no such unit)."""
    os.chdir(argv[argv.index("--machine") + 1])
    words = argv[2:]
    flags = [word for word in words if word.startswith("-")]
    names = [word for word in words if not word.startswith("-")]
    verb = names.pop(0) if names else "list-units"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect("init.sock")
        connection.sendall(json.dumps([verb, flags, names]).encode() + b"\n")
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    if not answer:
        print("systemctl: the machine is going down", file=sys.stderr)
        return 1
    code, output = json.loads(answer)
    if output and not {"-q", "--quiet"} & set(flags):
        print(output, file=sys.stdout if code in (0, 3) else sys.stderr)
    return int(code)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
