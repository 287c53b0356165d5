"""Runs MatrixCtl with `*.localhost` meaning this machine.

MatrixCtl insists on https and on the host name `matrix.` plus the domain; not
every resolver knows that such names are loopback (RFC 6761, section 6.3).
"""

import socket
import sys

from matrixctl.__main__ import main

resolve = socket.getaddrinfo


def loopback(host, *rest, **named):  # type: ignore[no-untyped-def]
    """Resolves the one name ourselves."""
    name = host.decode() if isinstance(host, bytes) else host
    return resolve("127.0.0.1" if name and name.endswith(".localhost") else host, *rest, **named)


socket.getaddrinfo = loopback
sys.exit(main())
