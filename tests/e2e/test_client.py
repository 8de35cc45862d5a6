# SPDX-License-Identifier: Apache-2.0
"""The API client's suite (tests/kube) against the embedded API server: plain, by TLS with a token, and by HTTP/2; and
against a real one."""

import base64
import json
import os
import shutil
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
from conftest import open_lab

from lab import netns
from lab.waiting import wait_for

SOURCE = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("FAIRLEAD_BUILD", SOURCE / "build"))
TIMEOUT_S = 600
TOKEN = "a-token-of-the-suite"


@contextmanager
def running(argv: list[str]) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(30)
        process.stdout.close()


@contextmanager
def apisim(*flags: str) -> Iterator[str]:
    """A server of its own; its URL."""
    with running([str(BUILD / "tests/apisim/fairlead-apisim"), "--listen", "127.0.0.1:0", *flags]) as process:
        yield process.stdout.readline().split()[2]


def make_certificate(where: Path) -> tuple[str, str]:
    """Key and certificate of 127.0.0.1, signed by itself."""
    key, cert = str(where / "key.pem"), str(where / "cert.pem")
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=apisim", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert],
        capture_output=True, check=True,
    )
    return key, cert


def make_kubeconfig(where: Path, url: str, user: str = "{}") -> str:
    path = where / "kubeconfig"
    path.write_text(
        "current-context: c\n"
        "contexts: [{name: c, context: {cluster: k, user: u}}]\n"
        f"clusters: [{{name: k, cluster: {{server: '{url}', certificate-authority: cert.pem}}}}]\n"
        f"users: [{{name: u, user: {user}}}]\n"
    )
    return str(path)


def suite(where: str, n_skipped: int = 0) -> None:
    done = subprocess.run(
        [str(BUILD / "tests/kube/kube_suite"), where], capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    last = done.stdout.splitlines()[-1:]
    good = done.returncode == 0 and last and f", 0 failed, {n_skipped} skipped" in last[0]
    assert good, done.stdout + done.stderr


@pytest.mark.embedded
def test_suite_over_plain_http() -> None:
    with apisim() as url:
        suite(url)


@pytest.mark.embedded
def test_suite_over_tls_with_a_token(tmp_path: Path) -> None:
    key, cert = make_certificate(tmp_path)
    (tmp_path / "token").write_text(TOKEN + "\n")
    with apisim("--tls-cert", cert, "--tls-key", key, "--token", TOKEN) as url:
        suite(make_kubeconfig(tmp_path, url, "{tokenFile: token}"))


needs_nghttpx = pytest.mark.skipif(
    shutil.which("nghttpx") is None, reason="nghttpx, which speaks HTTP/2 for it, is not installed"
)


@contextmanager
def http2(where: Path, url: str, *flags: str) -> Iterator[int]:
    """The server at url by TLS and HTTP/2: the port."""
    key, cert = make_certificate(where)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    backend = url.rpartition("/")[2].replace(":", ",")
    argv = ["nghttpx", "--conf=/dev/null", "--no-ocsp", *flags, f"-f127.0.0.1,{port}", f"-b{backend}", key, cert]
    with running(argv):
        for _ in range(100):
            with socket.socket() as s:
                if s.connect_ex(("127.0.0.1", port)) == 0:
                    break
            time.sleep(0.05)
        yield port


@pytest.mark.embedded
@needs_nghttpx
def test_suite_over_http2(tmp_path: Path) -> None:
    with apisim() as url, http2(tmp_path, url) as port:
        suite(make_kubeconfig(tmp_path, f"https://127.0.0.1:{port}"))


@pytest.mark.embedded
@needs_nghttpx
def test_client_certificates(tmp_path: Path) -> None:
    """As files and within the kubeconfig; and without one nobody is let in."""
    with apisim() as url, http2(
        tmp_path, url, "--verify-client", f"--verify-client-cacert={tmp_path / 'cert.pem'}"
    ) as port:
        files = {"client-certificate": "cert.pem", "client-key": "key.pem"}
        data = {f"{k}-data": base64.b64encode((tmp_path / f).read_bytes()).decode() for k, f in files.items()}
        for user, code in ((files, 0), (data, 0), ({}, 1)):
            kubeconfig = make_kubeconfig(tmp_path, f"https://127.0.0.1:{port}", json.dumps(user))
            argv = [str(BUILD / "src/cli/fairlead"), "status", "--exit-code=answer", "--kubeconfig", kubeconfig]
            done = subprocess.run(argv, capture_output=True, text=True, timeout=TIMEOUT_S, check=False)
            assert done.returncode == code, done.stderr


class Relay:
    """A balancer that may forget a connection without a word: it goes on acknowledging what comes, and no more."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = [self._listener]
        self._forgotten: set[socket.socket] = set()
        self._http2: set[socket.socket] = set()
        self.port = self._listener.getsockname()[1]
        self._start(self._accept)

    @staticmethod
    def _start(what: Callable[..., None], *args: socket.socket) -> None:
        threading.Thread(target=what, args=args, daemon=True).start()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._to))
                self._sockets += [client, server]
                self._start(self._pump, client, server)
                self._start(self._pump, server, client)

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                if b"\x02h2" in data:  # what the client's first message offers
                    self._http2 |= {source, sink}
                if source not in self._forgotten:
                    sink.sendall(data)
            if source not in self._forgotten:
                sink.shutdown(socket.SHUT_WR)

    def forget_http2(self) -> int:
        forgotten = self._http2 - self._forgotten
        self._forgotten |= forgotten
        return len(forgotten) // 2

    def close(self) -> None:
        for s in self._sockets:
            with suppress(OSError):
                s.shutdown(socket.SHUT_RDWR)
            s.close()


@pytest.mark.embedded
@needs_nghttpx
def test_a_leader_outlives_a_forgotten_connection(tmp_path: Path) -> None:
    """TCP notices nothing, so the next writes must not go the same way."""
    with apisim() as url, http2(tmp_path, url) as port, closing(Relay(port)) as relay:

        def lease() -> dict[str, Any]:
            path = "/apis/coordination.k8s.io/v1/namespaces/fairlead-system/leases/fairlead-controller"
            with urllib.request.urlopen(url + path) as answer:
                return json.load(answer)["spec"]

        def led() -> dict[str, Any] | None:
            with suppress(urllib.error.HTTPError):
                return lease()
            return None

        def renewed(since: str) -> str:
            time = lease()["renewTime"]
            return time if time != since else ""

        argv = [
            str(BUILD / "src/controller/fairlead-controller"),
            "--kubeconfig", make_kubeconfig(tmp_path, f"https://127.0.0.1:{relay.port}"),
            "--identity", "a", "--http", "127.0.0.1:0",
            "--lease-duration", "6", "--renew-deadline", "5", "--retry-period", "1",
        ]  # fmt: skip
        with running(argv) as controller:
            before = wait_for("a leader", led, 20)
            time_of = wait_for("a renewal", lambda: renewed(before["renewTime"]), 20)
            assert relay.forget_http2() >= 1
            for _ in range(3):
                time_of = wait_for("a renewal", lambda t=time_of: renewed(t), 20)
            after = lease()
            assert controller.poll() is None
        assert (after["holderIdentity"], after["acquireTime"]) == ("a", before["acquireTime"])


@pytest.mark.kubernetes
def test_suite_against_a_real_server() -> None:
    """By HTTP/2; what needs faults is left out."""
    with open_lab() as lab:
        lab.start_api()
        with netns.entered(lab.network.control_plane.namespace):
            suite(str(lab.kubeconfig), n_skipped=4)
