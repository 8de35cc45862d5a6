# SPDX-License-Identifier: Apache-2.0
"""Neighbour discovery (RFC 4861): the codec of solicitations and advertisements, and a question with all its answers.

Frames are those of `arp`, so that whoever asks or looks need not care for the family: a solicitation is a request, an
advertisement a reply, and an unspecified sender is "::".
"""

import ipaddress
import select
import socket
import struct
import time

from . import netns
from .arp import REPLY, REQUEST, Answer, Frame, mac_bytes, mac_text

ETHERTYPE = 0x86DD
SOLICITATION, ADVERTISEMENT = 135, 136
ROUTER, SOLICITED, OVERRIDE = 0x80, 0x40, 0x20
ALL_NODES = "ff02::1"
NOBODY = "::"


def packed(address: str) -> bytes:
    return ipaddress.IPv6Address(address).packed


def group_of(address: str) -> str:
    """The solicited-node group."""
    return str(ipaddress.IPv6Address(packed("ff02::1:ff00:0")[:13] + packed(address)[13:]))


def group_mac(group: str) -> str:
    return mac_text(b"\x33\x33" + packed(group)[12:])


def checksum(source: bytes, destination: bytes, message: bytes) -> int:
    data = source + destination + struct.pack("!II", len(message), 58) + message
    total = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def message(kind: int, flags: int, target: str, mac: str) -> bytes:
    """The ICMPv6 message without its checksum; @mac may be empty."""
    body = struct.pack("!BBHI", kind, 0, 0, flags << 24) + packed(target)
    if mac:
        body += bytes([2 if kind == ADVERTISEMENT else 1, 1]) + mac_bytes(mac)
    return body


def packet(dst: str, src: str, source: str, destination: str, body: bytes, hop_limit: int = 255) -> bytes:
    addresses = packed(source), packed(destination)
    body = body[:2] + struct.pack("!H", checksum(*addresses, body)) + body[4:]
    header = struct.pack("!IHBB", 6 << 28, len(body), 58, hop_limit)
    return mac_bytes(dst) + mac_bytes(src) + struct.pack("!H", ETHERTYPE) + header + b"".join(addresses) + body


def solicitation(mac: str, address: str, target: str) -> bytes:
    """From `address`, or from nobody: then it is a probe."""
    group = group_of(target)
    body = message(SOLICITATION, 0, target, "" if address == NOBODY else mac)
    return packet(group_mac(group), mac, address, group, body)


def advertisement(mac: str, address: str, to_mac: str = "", to: str = ALL_NODES, flags: int = OVERRIDE) -> bytes:
    body = message(ADVERTISEMENT, flags, address, mac)
    return packet(to_mac or group_mac(ALL_NODES), mac, address, to, body)


def request(mac: str, address: str, target: str) -> bytes:
    return solicitation(mac, address, target)


def reply(mac: str, address: str, question: Frame) -> bytes:
    """That `address` is at `mac`, to who asked; of a probe that is everybody."""
    if question.sender_ip == NOBODY:
        return advertisement(mac, address)
    return advertisement(mac, address, question.sender_mac, question.sender_ip, SOLICITED | OVERRIDE)


def decode(raw: bytes) -> Frame | None:
    """None for what is neither of the two messages, or not in order."""
    if len(raw) < 78 or raw[12:14] != struct.pack("!H", ETHERTYPE) or raw[20] != 58 or raw[21] != 255:
        return None
    size = struct.unpack_from("!H", raw, 18)[0]
    source, destination, body = raw[22:38], raw[38:54], raw[54 : 54 + size]
    if len(body) < 24 or body[0] not in (SOLICITATION, ADVERTISEMENT) or checksum(source, destination, body):
        return None
    src, dst = mac_text(raw[6:12]), mac_text(raw[:6])
    has_mac = len(body) >= 32 and body[24] == (2 if body[0] == ADVERTISEMENT else 1)
    mac = mac_text(body[26:32]) if has_mac else src
    target = socket.inet_ntop(socket.AF_INET6, body[8:24])
    if body[0] == SOLICITATION:
        sender = socket.inet_ntop(socket.AF_INET6, source)
        return Frame(REQUEST, mac, sender, "", target, src, dst)
    to = socket.inet_ntop(socket.AF_INET6, destination) if body[4] & SOLICITED else target
    return Frame(REPLY, mac, target, "", to, src, dst)


def ask(namespace: str, mac: str, address: str, target: str, seconds: float = 0.3) -> list[Answer]:
    """Asks once who has `target`, waits the whole time, and returns every answer.

    An answer goes to `address`: where each question has one of its own, a late answer is not taken for one to the next.
    """
    answers = []
    with netns.entered(namespace):
        s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETHERTYPE))
        s.bind(("eth0", ETHERTYPE))
    with s:
        start = time.monotonic()
        s.send(solicitation(mac, address, target))
        while (left := start + seconds - time.monotonic()) > 0:
            if not select.select([s], [], [], left)[0]:
                break
            frame = decode(s.recv(2048))
            now = time.monotonic()
            if frame and frame.op == REPLY and (frame.sender_ip, frame.target_ip, frame.dst) == (target, address, mac):
                answers.append(Answer(frame.sender_mac, (now - start) * 1000, now))
    return answers
