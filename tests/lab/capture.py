# SPDX-License-Identifier: Apache-2.0
"""Packet captures on one interface of a namespace, kept in memory, for assertions."""

import socket
import struct
import threading
from dataclasses import dataclass

from . import arp, netns

_ETH_P_ALL = 3
_SO_RCVBUFFORCE, _SO_TIMESTAMPNS = 33, 35
_SOL_PACKET, _PACKET_STATISTICS = 263, 6
_RECEIVE_BUFFER = 8 << 20
_PROTOCOLS = {1: "icmp", 6: "tcp", 17: "udp"}


@dataclass(frozen=True)
class Packet:
    at: float  # seconds, wall clock, from the kernel
    outgoing: bool
    raw: bytes

    @property
    def arp(self) -> arp.Frame | None:
        return arp.decode(self.raw)

    @property
    def ipv4(self) -> "Ipv4 | None":
        return decode_ipv4(self.raw)


@dataclass(frozen=True)
class Ipv4:
    protocol: str
    src: str
    dst: str
    sport: int
    dport: int


def decode_ipv4(raw: bytes) -> Ipv4 | None:
    if len(raw) < 34 or raw[12:14] != b"\x08\x00" or raw[14] >> 4 != 4:
        return None
    payload = raw[14 + (raw[14] & 15) * 4 :]
    name = _PROTOCOLS.get(raw[23], str(raw[23]))
    sport = dport = 0
    if name in ("tcp", "udp") and len(payload) >= 4:
        sport, dport = struct.unpack_from("!HH", payload)
    return Ipv4(name, socket.inet_ntoa(raw[26:30]), socket.inet_ntoa(raw[30:34]), sport, dport)


class Capture:
    def __init__(self, namespace: str, interface: str = "eth0") -> None:
        self.packets: list[Packet] = []
        self.dropped = 0
        with netns.entered(namespace):
            self._socket = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ETH_P_ALL))
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_RCVBUFFORCE, _RECEIVE_BUFFER)
        self._socket.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
        self._socket.bind((interface, _ETH_P_ALL))
        self._socket.settimeout(0.05)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Capture":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        statistics = self._socket.getsockopt(_SOL_PACKET, _PACKET_STATISTICS, 8)
        self.dropped = struct.unpack("II", statistics)[1]
        self._socket.close()

    def _run(self) -> None:
        while not self._stop.is_set():
            try:
                raw, ancillary, _, address = self._socket.recvmsg(65536, 64)
            except TimeoutError:
                continue
            except OSError:  # the interface went down: it may come back
                self._stop.wait(0.01)
                continue
            at = 0.0
            for _level, kind, data in ancillary:
                if kind == _SO_TIMESTAMPNS:
                    seconds, nanoseconds = struct.unpack("qq", data[:16])
                    at = seconds + nanoseconds / 1e9
            self.packets.append(Packet(at, address[2] == 4, raw))

    def arp_frames(self) -> list[tuple[float, arp.Frame]]:
        return [(p.at, f) for p in list(self.packets) if (f := p.arp)]
