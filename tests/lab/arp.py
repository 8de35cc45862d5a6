# SPDX-License-Identifier: Apache-2.0
"""ARP frames (RFC 826): the codec, a question with all its answers, and a watcher that asks again and again."""

import select
import socket
import struct
import threading
import time
from dataclasses import dataclass

from . import netns

ETHERTYPE = 0x0806
REQUEST, REPLY = 1, 2
BROADCAST = "ff:ff:ff:ff:ff:ff"
NOBODY = "0.0.0.0"  # the sender of a probe
_HEADER = struct.Struct("!6s6sH")
_BODY = struct.Struct("!HHBBH6s4s6s4s")


@dataclass(frozen=True)
class Frame:
    op: int
    sender_mac: str
    sender_ip: str
    target_mac: str
    target_ip: str
    src: str = ""
    dst: str = ""

    @property
    def gratuitous(self) -> bool:
        return self.sender_ip == self.target_ip


@dataclass(frozen=True)
class Answer:
    mac: str
    ms: float  # after the question
    at: float  # time.monotonic()


def mac_bytes(mac: str) -> bytes:
    return bytes.fromhex(mac.replace(":", ""))


def mac_text(raw: bytes) -> str:
    return raw.hex(":")


def encode(frame: Frame) -> bytes:
    return _HEADER.pack(mac_bytes(frame.dst), mac_bytes(frame.src), ETHERTYPE) + _BODY.pack(
        1,
        0x0800,
        6,
        4,
        frame.op,
        mac_bytes(frame.sender_mac),
        socket.inet_aton(frame.sender_ip),
        mac_bytes(frame.target_mac),
        socket.inet_aton(frame.target_ip),
    )


def decode(raw: bytes) -> Frame | None:
    """None for what is not ARP for IPv4 on Ethernet."""
    if len(raw) < _HEADER.size + _BODY.size:
        return None
    dst, src, ethertype = _HEADER.unpack_from(raw)
    htype, ptype, hlen, plen, op, sha, spa, tha, tpa = _BODY.unpack_from(raw, _HEADER.size)
    if (ethertype, htype, ptype, hlen, plen) != (ETHERTYPE, 1, 0x0800, 6, 4):
        return None
    return Frame(
        op,
        mac_text(sha),
        socket.inet_ntoa(spa),
        mac_text(tha),
        socket.inet_ntoa(tpa),
        mac_text(src),
        mac_text(dst),
    )


def open_socket(namespace: str, interface: str = "eth0") -> socket.socket:
    with netns.entered(namespace):
        s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ETHERTYPE))
        s.bind((interface, ETHERTYPE))
    return s


def request(mac: str, address: str, target: str) -> bytes:
    return encode(Frame(REQUEST, mac, address, "00:00:00:00:00:00", target, mac, BROADCAST))


def reply(mac: str, address: str, question: Frame) -> bytes:
    """That `address` is at `mac`, to who asked."""
    return encode(Frame(REPLY, mac, address, question.sender_mac, question.sender_ip, mac, question.src))


def ask(
    namespace: str, mac: str, address: str, target: str, seconds: float = 0.3, interface: str = "eth0"
) -> list[Answer]:
    """Asks once who has `target`, waits the whole time, and returns every answer."""
    answers = []
    with open_socket(namespace, interface) as s:
        start = time.monotonic()
        s.send(request(mac, address, target))
        while (left := start + seconds - time.monotonic()) > 0:
            if not select.select([s], [], [], left)[0]:
                break
            frame = decode(s.recv(2048))
            now = time.monotonic()
            if frame and frame.op == REPLY and frame.sender_ip == target and frame.dst == mac:
                answers.append(Answer(frame.sender_mac, (now - start) * 1000, now))
    return answers


class Watcher:
    """Asks for an address every few milliseconds in a thread and keeps every answer."""

    def __init__(self, namespace: str, mac: str, address: str, target: str, every: float = 0.005) -> None:
        self.answers: list[Answer] = []
        self._request = request(mac, address, target)
        self._mac, self._target, self._every = mac, target, every
        self._socket = open_socket(namespace)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Watcher":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()
        self._socket.close()

    def _run(self) -> None:
        asked = time.monotonic()
        self._socket.send(self._request)
        while not self._stop.is_set():
            left = asked + self._every - time.monotonic()
            if left <= 0:
                asked = time.monotonic()
                self._socket.send(self._request)
                continue
            if not select.select([self._socket], [], [], left)[0]:
                continue
            frame = decode(self._socket.recv(2048))
            now = time.monotonic()
            if frame and frame.op == REPLY and frame.sender_ip == self._target and frame.dst == self._mac:
                self.answers.append(Answer(frame.sender_mac, (now - asked) * 1000, now))

    def first_after(self, when: float, not_mac: str = "") -> Answer | None:
        return next((a for a in list(self.answers) if a.at > when and a.mac != not_mac), None)

    def last_before(self, when: float) -> Answer | None:
        return next((a for a in reversed(list(self.answers)) if a.at <= when), None)
