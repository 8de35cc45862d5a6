# SPDX-License-Identifier: Apache-2.0
"""The API client's suite (tests/kube) against the embedded API server: plain, by TLS with a token, and by HTTP/2; and
against a real one."""

import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from conftest import open_lab

from lab import netns

SOURCE = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("FAIRLEAD_BUILD", SOURCE / "build"))
TIMEOUT_S = 180
TOKEN = "a-token-of-the-suite"


@contextmanager
def running(argv: list[str]) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    try:
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)
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


@pytest.mark.embedded
@pytest.mark.skipif(shutil.which("nghttpx") is None, reason="nghttpx, which speaks HTTP/2 for it, is not installed")
def test_suite_over_http2(tmp_path: Path) -> None:
    key, cert = make_certificate(tmp_path)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with apisim() as url:
        backend = url.rpartition("/")[2].replace(":", ",")
        argv = ["nghttpx", "--conf=/dev/null", "--no-ocsp", f"-f127.0.0.1,{port}", f"-b{backend}", key, cert]
        with running(argv):
            for _ in range(100):
                with socket.socket() as s:
                    if s.connect_ex(("127.0.0.1", port)) == 0:
                        break
                time.sleep(0.05)
            suite(make_kubeconfig(tmp_path, f"https://127.0.0.1:{port}"))


@pytest.mark.kubernetes
def test_suite_against_a_real_server() -> None:
    """By HTTP/2; what needs faults is left out."""
    with open_lab() as lab:
        lab.start_api()
        with netns.entered(lab.network.control_plane.namespace):
            suite(str(lab.kubeconfig), n_skipped=4)
