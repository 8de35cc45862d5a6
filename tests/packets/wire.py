# SPDX-License-Identifier: Apache-2.0
"""Packets as bytes: what opens a flow (a TCP SYN, a UDP datagram, an SCTP INIT), what answers it, and what refuses it.

Each carries a number of 32 bits, which translation leaves alone; so does its answer.  All addresses are packed.
"""

import struct
from typing import NamedTuple

TCP, UDP, SCTP, ICMP, ICMP6 = 6, 17, 132, 1, 58
NUMBERS = {"TCP": TCP, "UDP": UDP, "SCTP": SCTP}

_OPENS, _ANSWERS = b"open", b"answ"  # what a datagram begins with
_SYN, _SYN_ACK, _RST = 0x02, 0x12, 0x04
_INIT, _INIT_ACK, _ABORT = 1, 2, 6
_UNREACHABLE, _UNREACHABLE6 = 3, 1


def _crc_table() -> list[int]:
    table = []
    for value in range(256):
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
        table.append(value)
    return table


_CRC = _crc_table()


def _crc32c(data: bytes) -> bytes:
    crc = 0xFFFFFFFF
    for byte in data:
        crc = crc >> 8 ^ _CRC[(crc ^ byte) & 0xFF]
    return struct.pack("<I", crc ^ 0xFFFFFFFF)


class Flow(NamedTuple):
    """The five things that tell it, seen from whoever sends."""

    protocol: int
    source: bytes
    destination: bytes
    source_port: int
    port: int

    @property
    def back(self) -> "Flow":
        return Flow(self.protocol, self.destination, self.source, self.port, self.source_port)


def _with_checksum(flow: Flow, segment: bytes, offset: int) -> bytes:
    """RFC 1071, over the pseudo-header and the segment: words add up as the whole number does, modulo 0xffff."""
    pseudo = flow.source + flow.destination + struct.pack(">HH", flow.protocol, len(segment))
    checksum = 0xFFFF - int.from_bytes(pseudo + segment, "big") % 0xFFFF
    return segment[:offset] + struct.pack(">H", checksum) + segment[offset + 2 :]


def _datagram(flow: Flow, number: int, answers: bool) -> bytes:
    payload = (_ANSWERS if answers else _OPENS) + struct.pack(">I", number)
    head = struct.pack(">HHHH", flow.source_port, flow.port, 8 + len(payload), 0)
    return _with_checksum(flow, head + payload, 6)


def _segment(flow: Flow, number: int, answers: bool) -> bytes:
    sequence, acknowledged = (1, (number + 1) & 0xFFFFFFFF) if answers else (number, 0)
    flags = _SYN_ACK if answers else _SYN
    head = struct.pack(">HHIIBBHHH", flow.source_port, flow.port, sequence, acknowledged, 5 << 4, flags, 65535, 0, 0)
    return _with_checksum(flow, head, 16)


def _init(flow: Flow, number: int, answers: bool) -> bytes:
    cookie = struct.pack(">HH4x", 7, 8) if answers else b""
    kind, tag = (_INIT_ACK, number) if answers else (_INIT, 0)
    chunk = struct.pack(">BBHIIHHI", kind, 0, 20 + len(cookie), number, 65535, 1, 1, number) + cookie
    head = struct.pack(">HHI", flow.source_port, flow.port, tag)
    return head + _crc32c(head + bytes(4) + chunk) + chunk


_SEGMENTS = {TCP: _segment, UDP: _datagram, SCTP: _init}


def packet(flow: Flow, number: int, answers: bool = False) -> bytes:
    """With its IP header, whose checksum the kernel writes.  @number must not be 0."""
    segment = _SEGMENTS[flow.protocol](flow, number, answers)
    if len(flow.source) == 16:
        return struct.pack(">IHBB", 6 << 28, len(segment), flow.protocol, 64) + flow.source + flow.destination + segment
    head = struct.pack(">BBHHHBBH", 0x45, 0, 20 + len(segment), 0, 0, 64, flow.protocol, 0)
    return head + flow.source + flow.destination + segment


class Seen(NamedTuple):
    """What a packet says.  `kind` is "opens", "answers" or "refuses"; the flow is that of the packet, or for a refusal
    that of what it refuses."""

    kind: str
    flow: Flow
    number: int  # 0 in refusals


def parse(data: bytes) -> Seen | None:
    """A packet from its IP header on; None if it is nothing of ours."""
    if len(data) < 20:
        return None
    if data[0] >> 4 == 6:
        return parse_segment(data[6], data[8:24], data[24:40], data[40:])
    return parse_segment(data[9], data[12:16], data[16:20], data[(data[0] & 15) * 4 :])


def parse_segment(protocol: int, source: bytes, destination: bytes, segment: bytes) -> Seen | None:
    """The same for a packet whose IP header the kernel has taken off."""
    if len(segment) < 8:
        return None
    if protocol in (ICMP, ICMP6):
        return _refused_by_icmp(segment, protocol)
    if protocol not in _SEGMENTS:
        return None
    source_port, port = struct.unpack_from(">HH", segment)
    flow = Flow(protocol, source, destination, source_port, port)
    return _PARSERS[protocol](flow, segment)


def _refused_by_icmp(segment: bytes, protocol: int) -> Seen | None:
    if segment[0] != (_UNREACHABLE if protocol == ICMP else _UNREACHABLE6):
        return None
    inner = segment[8:]
    head = 40 if protocol == ICMP6 else (inner[0] & 15) * 4 if inner else 0
    if len(inner) < head + 4 or head < 20:
        return None
    first, second = (inner[8:24], inner[24:40]) if head == 40 and protocol == ICMP6 else (inner[12:16], inner[16:20])
    number = inner[6] if protocol == ICMP6 else inner[9]
    source_port, port = struct.unpack_from(">HH", inner, head)
    return Seen("refuses", Flow(number, first, second, source_port, port), 0)


def _parse_tcp(flow: Flow, segment: bytes) -> Seen | None:
    if len(segment) < 20:
        return None
    sequence, acknowledged, flags = struct.unpack_from(">IIxB", segment, 4)
    if flags & _RST:
        return Seen("refuses", flow.back, 0)
    if flags & _SYN_ACK == _SYN:
        return Seen("opens", flow, sequence)
    return Seen("answers", flow, acknowledged - 1 & 0xFFFFFFFF) if flags & _SYN_ACK == _SYN_ACK else None


def _parse_udp(flow: Flow, segment: bytes) -> Seen | None:
    kind = {_OPENS: "opens", _ANSWERS: "answers"}.get(segment[8:12])
    return Seen(kind, flow, int.from_bytes(segment[12:16], "big")) if kind and len(segment) >= 16 else None


def _parse_sctp(flow: Flow, segment: bytes) -> Seen | None:
    if len(segment) < 20:
        return None
    if segment[12] == _ABORT:
        return Seen("refuses", flow.back, 0)
    kind = {_INIT: "opens", _INIT_ACK: "answers"}.get(segment[12])
    return Seen(kind, flow, int.from_bytes(segment[16:20], "big")) if kind else None


_PARSERS = {TCP: _parse_tcp, UDP: _parse_udp, SCTP: _parse_sctp}
