# SPDX-License-Identifier: Apache-2.0
"""Whether mode ipvs can run here: only with a kernel that has IPVS; tests/vm has one where the machine's has not.
And virtual servers as others make them.

`python3 -m lab.ipvs` says why the kernel cannot, and exits 1 then.
"""

import os
import socket
import struct
import subprocess
import sys
from functools import cache
from pathlib import Path

from . import netns

SOURCE = Path(__file__).resolve().parents[2]
TABLE = Path("/proc/net/ip_vs")


@cache
def missing() -> str:
    """Why not, for a person to read; empty if it can."""
    if kernel := kernel_lacks():
        return kernel
    build = Path(os.environ.get("FAIRLEAD_BUILD", SOURCE / "build"))
    argv = [build / "src/speaker/fairlead-speaker", "--help"]
    told = subprocess.run(argv, capture_output=True, text=True, check=True).stdout
    return "" if "|ipvs" in told else "this build's speaker has no mode ipvs"


@cache
def kernel_lacks() -> str:
    """Why the kernel alone stands in the way; empty if it does not."""
    if not TABLE.exists():
        try:
            subprocess.run(["modprobe", "-q", "ip_vs"], check=False)
        except FileNotFoundError:
            pass  # no modules either
    return "" if TABLE.exists() else "this kernel has no ip_vs"


# Of linux/ip_vs.h.
_ADD_SERVER, _FLUSH, _ADD_ENDPOINT = 1154, 1157, 1159
_SERVER, _ENDPOINT = struct.Struct("=HxxIHxxI16sIII"), struct.Struct("=IHxxIiII")


def _network_order(address: str) -> int:
    return int.from_bytes(socket.inet_aton(address), sys.byteorder)


def _server(address: str = "", port: int = 0, mark: int = 0) -> bytes:
    where = _network_order(address) if address else 0
    return _SERVER.pack(socket.IPPROTO_TCP, where, socket.htons(port), mark, b"rr", 0, 0, 0xFFFFFFFF)


def _endpoint(endpoint: str) -> bytes:
    where, _, port = endpoint.partition(":")
    masquerading = 0
    return _ENDPOINT.pack(_network_order(where), socket.htons(int(port)), masquerading, 1, 0, 0)


def _tell(namespace: str, *said: tuple[int, bytes]) -> None:
    with netns.entered(namespace), socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_RAW) as control:
        for what, data in said:
            control.setsockopt(socket.IPPROTO_IP, what, data)


def add_foreign(namespace: str, endpoint: str, address: str = "", port: int = 0, mark: int = 0) -> None:
    """A virtual server of TCP with an endpoint, "ADDRESS:PORT", as ipvsadm makes it: by address and port, or mark."""
    server = _server(address, port, mark)
    _tell(namespace, (_ADD_SERVER, server), (_ADD_ENDPOINT, server + _endpoint(endpoint)))


def flush(namespace: str) -> None:
    """As ipvsadm -C: all that is there, of whomever."""
    _tell(namespace, (_FLUSH, b""))


if __name__ == "__main__":
    print(kernel_lacks())
    sys.exit(1 if kernel_lacks() else 0)
