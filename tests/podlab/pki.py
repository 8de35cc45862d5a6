# SPDX-License-Identifier: Apache-2.0
"""The cluster's CA and server certificate, the keys of service accounts, and a token for each who is not one."""

import base64
import secrets
import subprocess
from pathlib import Path
from typing import Any

import yaml

# user name: its groups
_USERS = {
    "admin": "system:masters",
    "system:kube-controller-manager": "",
    "system:kube-scheduler": "",
    "system:kube-proxy": "",
}


def _openssl(*arguments: str, cwd: Path) -> None:
    subprocess.run(["openssl", *arguments], cwd=cwd, check=True, capture_output=True)


class Pki:
    def __init__(self, directory: Path, server: str, nodes: list[str]) -> None:
        self.directory, self._server = directory, server
        self._users = _USERS | {f"system:node:{n}": "system:nodes" for n in nodes}
        self._tokens: dict[str, str] = {}

    def create(self, addresses: list[str]) -> None:
        """Makes everything; `addresses` are those under which the API server is reached."""
        self.directory.mkdir(mode=0o700)
        self._tokens = {user: secrets.token_hex(16) for user in self._users}
        lines = [f'{self._tokens[u]},{u},{u},"{g}"' for u, g in self._users.items()]
        (self.directory / "tokens.csv").write_text("\n".join(lines) + "\n", encoding="ascii")
        names = ["DNS:kubernetes.default.svc", "DNS:localhost", *(f"IP:{a}" for a in addresses)]
        (self.directory / "san").write_text(f"subjectAltName={','.join(names)}\n", encoding="ascii")
        new = ("-newkey", "rsa:2048", "-nodes")
        _openssl(
            *("req", "-x509", *new, "-keyout", "ca.key", "-out", "ca.crt", "-days", "30", "-subj", "/CN=lab-ca"),
            cwd=self.directory,
        )
        _openssl(
            *("req", *new, "-keyout", "server.key", "-out", "server.csr", "-subj", "/CN=kube-apiserver"),
            cwd=self.directory,
        )
        _openssl(
            *("x509", "-req", "-in", "server.csr", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial"),
            *("-days", "30", "-extfile", "san", "-out", "server.crt"),
            cwd=self.directory,
        )
        _openssl("genrsa", "-out", "sa.key", "2048", cwd=self.directory)
        _openssl("rsa", "-in", "sa.key", "-pubout", "-out", "sa.pub", cwd=self.directory)

    def kubeconfig(self, user: str, path: Path, server: str = "") -> Path:
        """Writes a kubeconfig with the CA's certificate and the user's token in it."""
        authority = base64.b64encode((self.directory / "ca.crt").read_bytes()).decode()
        cluster = {"server": server or self._server, "certificate-authority-data": authority}
        config: dict[str, Any] = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "lab",
            "clusters": [{"name": "lab", "cluster": cluster}],
            "users": [{"name": user, "user": {"token": self._tokens[user]}}],
            "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": user}}],
        }
        path.write_text(yaml.safe_dump(config), encoding="ascii")
        path.chmod(0o600)
        return path
