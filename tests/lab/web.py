# SPDX-License-Identifier: Apache-2.0
"""HTTP and UDP clients that live in a namespace."""

import http.client
import socket
import ssl
import threading
import time
from contextlib import nullcontext
from dataclasses import dataclass

from . import netns
from .waiting import PATIENCE, LabError


class Connection(http.client.HTTPConnection):
    """An HTTP connection whose socket is opened in a namespace; "" is the one that we are in."""

    def __init__(self, namespace: str, host: str, port: int, timeout: float, source: str | None = None) -> None:
        super().__init__(host, port, timeout=timeout, source_address=(source, 0) if source else None)
        self._namespace = namespace

    def connect(self) -> None:
        with netns.entered(self._namespace) if self._namespace else nullcontext():
            super().connect()


class TlsConnection(http.client.HTTPSConnection):
    """The same over TLS."""

    def __init__(self, namespace: str, host: str, port: int, timeout: float, tls: ssl.SSLContext) -> None:
        super().__init__(host, port, timeout=timeout, context=tls)
        self._namespace = namespace

    def connect(self) -> None:
        with netns.entered(self._namespace) if self._namespace else nullcontext():
            super().connect()


@dataclass(frozen=True)
class Reply:
    """An answer of fairlead-echo."""

    status: int
    body: str

    def field(self, name: str) -> str:
        return next((l.split(": ", 1)[1] for l in self.body.splitlines() if l.startswith(name + ": ")), "")

    @property
    def name(self) -> str:
        return self.field("Name")

    @property
    def pod(self) -> str:
        return self.field("Hostname")

    @property
    def peer(self) -> str:
        """The address that the Pod saw, without the port."""
        return self.field("RemoteAddr").rsplit(":", 1)[0]


class Unreachable(LabError):
    """No answer; `kind` is "refused", "timeout" or "unreachable"."""

    def __init__(self, where: str, kind: str, detail: str) -> None:
        super().__init__(f"{where}: {kind} ({detail})")
        self.kind = kind


def get(
    namespace: str,
    host: str,
    port: int = 80,
    path: str = "/",
    timeout: float = 2.0 * PATIENCE,
    source: str | None = None,
    name: str = "",
) -> Reply:
    """@name: what the client calls the host, as a browser does with the name that it looked up; "": as it is."""
    return request(namespace, "GET", host, port, path, None, timeout, source, name)


def request(
    namespace: str,
    method: str,
    host: str,
    port: int = 80,
    path: str = "/",
    body: str | None = None,
    timeout: float = 2.0 * PATIENCE,
    source: str | None = None,
    name: str = "",
) -> Reply:
    where = f"{method} http://{host}:{port}{path}"
    connection = Connection(namespace, host, port, timeout, source)
    try:
        connection.request(method, path, body, {"Connection": "close"} | ({"Host": name} if name else {}))
        response = connection.getresponse()
        return Reply(response.status, response.read().decode())
    except ConnectionRefusedError as error:
        raise Unreachable(where, "refused", str(error)) from error
    except TimeoutError as error:
        raise Unreachable(where, "timeout", str(error)) from error
    except (OSError, http.client.HTTPException) as error:
        raise Unreachable(where, "unreachable", str(error)) from error
    finally:
        connection.close()


def udp(namespace: str, host: str, port: int, timeout: float = 2.0 * PATIENCE) -> Reply:
    """Sends one datagram to fairlead-echo and returns its answer."""
    where = f"udp {host}:{port}"
    with netns.entered(namespace):
        s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    with s:
        s.settimeout(timeout)
        try:
            s.connect((host, port))
            s.send(b"hello")
            return Reply(200, s.recv(2048).decode())
        except ConnectionRefusedError as error:
            raise Unreachable(where, "refused", str(error)) from error
        except TimeoutError as error:
            raise Unreachable(where, "timeout", str(error)) from error
        except OSError as error:
            raise Unreachable(where, "unreachable", str(error)) from error


@dataclass(frozen=True)
class Success:
    started: float  # time.monotonic()
    ended: float
    reply: Reply


class Prober:
    """GETs one after another in a thread, each given up after `timeout`, and keeps the answers."""

    def __init__(self, namespace: str, host: str, port: int, timeout: float = 0.05) -> None:
        self.successes: list[Success] = []
        self.failures = 0
        self._args = (namespace, host, port, "/", timeout)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> "Prober":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            started = time.monotonic()
            try:
                reply = get(*self._args)
            except Unreachable:
                self.failures += 1
            else:
                self.successes.append(Success(started, time.monotonic(), reply))
            self._stop.wait(0.005)

    def first_after(self, when: float) -> Success | None:
        """The first answer to a request that began after `when`."""
        return next((s for s in list(self.successes) if s.started > when), None)

    def last_before(self, when: float) -> Success | None:
        return next((s for s in reversed(list(self.successes)) if s.ended <= when), None)
