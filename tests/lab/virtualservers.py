# SPDX-License-Identifier: Apache-2.0
"""The virtual servers of a namespace, all of them and each as the kernel has it, by generic netlink (linux/ip_vs.h).

The kernel's own list, /proc/net/ip_vs, leaves some out where others have virtual servers in namespaces of theirs, and
does not say of which family those by mark are.
"""

import os
import socket
import struct
from collections.abc import Iterator
from dataclasses import dataclass

from . import netns

# Of linux/netlink.h and linux/genetlink.h.
_REQUEST, _ACKNOWLEDGE, _DUMP = 0x1, 0x4, 0x300
_ERROR, _DONE = 2, 3
_CONTROLLER, _GET_FAMILY = 16, 3
_FAMILY_ID, _FAMILY_NAME = 1, 2
_NESTED, _TYPE = 0x8000, 0x3FFF
# Of linux/ip_vs.h.
_VERSION, _SET_SERVER, _GET_SERVERS, _GET_ENDPOINTS = 1, 2, 4, 8
_SERVER, _ENDPOINT = 1, 2
_AF, _PROTOCOL, _ADDRESS, _PORT, _MARK, _SCHEDULER, _FLAGS, _TIMEOUT, _NETMASK = range(1, 10)
_TO, _TO_PORT, _METHOD, _WEIGHT = range(1, 5)
_METHODS = {0: "masq", 1: "local", 2: "tunnel", 3: "route"}
_HASHED = 0x2  # it stands in the kernel's table: each does

Attributes = dict[int, bytes]


@dataclass(frozen=True)
class Endpoint:
    at: str  # "10.0.0.1:80", "[fd00::1]:80"
    method: str
    weight: int

    def __str__(self) -> str:
        return f"{self.at} {self.method} {self.weight}"


@dataclass(frozen=True)
class Server:
    family: int
    where: str  # "tcp 10.0.0.1:80", or "mark 0x1001"
    mark: int  # 0: it is chosen by address
    scheduler: str
    flags: int
    timeout_s: int
    endpoints: tuple[Endpoint, ...]  # the newest first


def servers(namespace: str) -> list[Server]:
    with netns.entered(namespace), _Socket() as channel:
        found = [one[_SERVER] for one in channel.ask(_GET_SERVERS)]
        return [_server(channel, _parsed(one)) for one in found]


def edit(namespace: str, server: Server, scheduler: str) -> None:
    """One that has a mark, as `ipvsadm -E` does it: all is said of it anew, but for its endpoints."""
    of = {
        _AF: struct.pack("=H", socket.AF_INET if server.family == 4 else socket.AF_INET6),
        _MARK: struct.pack("=I", server.mark),
        _SCHEDULER: scheduler.encode() + b"\0",
        _FLAGS: struct.pack("=II", 0, 0xFFFFFFFF),
        _TIMEOUT: struct.pack("=I", 0),
        _NETMASK: struct.pack("=I", 0xFFFFFFFF if server.family == 4 else 128),
    }
    with netns.entered(namespace), _Socket() as channel:
        channel.tell(_SET_SERVER, _attribute(_SERVER | _NESTED, _nest(of)))


def _server(channel: "_Socket", of: Attributes) -> Server:
    (af,) = struct.unpack_from("=H", of[_AF])
    mark = struct.unpack("=I", of[_MARK])[0] if _MARK in of else 0
    key = _nest({kind: of[kind] for kind in (_AF, _PROTOCOL, _ADDRESS, _PORT, _MARK) if kind in of})
    protocol = {6: "tcp", 17: "udp", 132: "sctp"}.get(struct.unpack("=H", of[_PROTOCOL])[0]) if not mark else ""
    where = f"mark {mark:#x}" if mark else f"{protocol} {_place(af, of[_ADDRESS], of[_PORT])}"
    endpoints = [_parsed(one[_ENDPOINT]) for one in channel.ask(_GET_ENDPOINTS, _attribute(_SERVER | _NESTED, key))]
    return Server(
        4 if af == socket.AF_INET else 6,
        where,
        mark,
        of[_SCHEDULER].rstrip(b"\0").decode(),
        struct.unpack_from("=I", of[_FLAGS])[0] & ~_HASHED,
        struct.unpack("=I", of[_TIMEOUT])[0],
        tuple(_endpoint(af, one) for one in endpoints),
    )


def _endpoint(af: int, of: Attributes) -> Endpoint:
    method, weight = (struct.unpack("=I", of[kind])[0] for kind in (_METHOD, _WEIGHT))
    return Endpoint(_place(af, of[_TO], of[_TO_PORT]), _METHODS.get(method & 7, str(method)), weight)


def _place(af: int, address: bytes, port: bytes) -> str:
    text = socket.inet_ntop(af, address[: 4 if af == socket.AF_INET else 16])
    return f"{f'[{text}]' if ':' in text else text}:{int.from_bytes(port[:2], 'big')}"


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value + bytes(-len(value) % 4)


def _nest(of: Attributes) -> bytes:
    return b"".join(_attribute(kind, value) for kind, value in of.items())


def _parsed(data: bytes) -> Attributes:
    found, at = {}, 0
    while at + 4 <= len(data):
        size, kind = struct.unpack_from("=HH", data, at)
        found[kind & _TYPE] = data[at + 4 : at + size]
        at += size + -size % 4
    return found


class _Socket:
    def __enter__(self) -> "_Socket":
        self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, 16)
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
        self._socket.bind((0, 0))
        told = self._told(_CONTROLLER, 0, _GET_FAMILY, _attribute(_FAMILY_NAME, b"IPVS\0"))
        (self._family,) = struct.unpack("=H", next(told)[_FAMILY_ID])
        return self

    def __exit__(self, *_: object) -> None:
        self._socket.close()

    def ask(self, command: int, what: bytes = b"") -> list[Attributes]:
        return list(self._told(self._family, _DUMP, command, what))

    def tell(self, command: int, what: bytes) -> None:
        list(self._told(self._family, _ACKNOWLEDGE, command, what))

    def _told(self, family: int, flags: int, command: int, what: bytes) -> Iterator[Attributes]:
        """The answers' attributes."""
        body = struct.pack("=BBxx", command, _VERSION) + what
        self._socket.send(struct.pack("=IHHII", 16 + len(body), family, _REQUEST | flags, 1, 0) + body)
        while True:
            data, at = self._socket.recv(1 << 16), 0
            while at < len(data):
                size, kind = struct.unpack_from("=IH", data, at)
                if kind == _ERROR and (error := -struct.unpack_from("=i", data, at + 16)[0]):
                    raise OSError(error, os.strerror(error))
                if kind in (_DONE, _ERROR):
                    return
                yield _parsed(data[at + 20 : at + size])
                at += size + -size % 4
