# SPDX-License-Identifier: Apache-2.0
"""The API client's suite (tests/kube) against the embedded API server, on loopback: plain, and by TLS with a token."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("FAIRLEAD_BUILD", SOURCE / "build"))
TIMEOUT_S = 180
TOKEN = "a-token-of-the-suite"


@contextmanager
def apisim(*flags: str) -> Iterator[str]:
    """A server of its own; its URL."""
    argv = [str(BUILD / "tests/apisim/fairlead-apisim"), "--listen", "127.0.0.1:0", *flags]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    try:
        yield process.stdout.readline().split()[2]
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(10)
        process.stdout.close()


def suite(where: str) -> None:
    done = subprocess.run(
        [str(BUILD / "tests/kube/kube_suite"), where], capture_output=True, text=True, timeout=TIMEOUT_S, check=False
    )
    last = done.stdout.splitlines()[-1:]
    assert done.returncode == 0 and last and ", 0 failed, 0 skipped" in last[0], done.stdout + done.stderr


def test_suite_over_plain_http() -> None:
    with apisim() as url:
        suite(url)


def test_suite_over_tls_with_a_token(tmp_path: Path) -> None:
    key, cert, config, token = (tmp_path / n for n in ("key.pem", "cert.pem", "kubeconfig", "token"))
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2",
         "-subj", "/CN=apisim", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)],
        capture_output=True, check=True,
    )
    token.write_text(TOKEN + "\n")
    with apisim("--tls-cert", str(cert), "--tls-key", str(key), "--token", TOKEN) as url:
        config.write_text(
            "current-context: c\n"
            "contexts: [{name: c, context: {cluster: k, user: u}}]\n"
            f"clusters: [{{name: k, cluster: {{server: '{url}', certificate-authority: cert.pem}}}}]\n"
            "users: [{name: u, user: {tokenFile: token}}]\n"
        )
        suite(str(config))
