# SPDX-License-Identifier: Apache-2.0
"""What tests of the suite want of the kernel, and not every kernel has."""

import errno
import socket

FEATURES = ("sctp",)


def has() -> frozenset[str]:
    """Those of FEATURES that the kernel at hand has."""
    try:
        socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_SCTP).close()
    except OSError as problem:
        if problem.errno != errno.EPROTONOSUPPORT:
            raise
        return frozenset()
    return frozenset(FEATURES)
