# SPDX-License-Identifier: Apache-2.0
"""A real control plane: etcd, kube-apiserver and, where wanted, more of Kubernetes, as tests/kube/build has made them.

	plane = ControlPlane(directory, "192.168.1.10", start=lambda name, argv: lab.start(name, argv, namespace))
	plane.start()
	plane.kubeconfig("admin", directory / "kubeconfig")

Certificates are made anew for each, tokens too; whoever holds a token is the user of that name.  The directory holds
everything: keys, the audit log, etcd's data.
"""

import base64
import functools
import os
import secrets
import shutil
import ssl
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import yaml

from . import api
from .processes import Process
from .waiting import LabError, wait_for

SERVICE_CIDRS = "10.96.0.0/16,fd00:96::/112"
PORT = 6443
READY_SECONDS = 60.0

# user: group.  The daemons' own users get their rights from the test, or from the chart.
USERS = {"admin": "system:masters", "fairlead-controller": "fairlead", "fairlead-speaker": "fairlead"}

# Who wrote what, and what it became; of all else who asked for it.  The server's own housekeeping is nobody's business.
_AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "omitManagedFields": True,
    "rules": [
        {"level": "None", "users": ["system:apiserver"]},
        {
            "level": "RequestResponse",
            "verbs": ["create", "update", "patch", "delete"],
            "resources": [
                {"group": "", "resources": ["services", "services/status"]},
                {"group": "coordination.k8s.io", "resources": ["leases"]},
            ],
        },
        {"level": "Metadata"},
    ],
}


def programs() -> Path:
    """Where the programs are."""
    source = Path(__file__).resolve().parents[2]
    return Path(os.environ.get("FAIRLEAD_BUILD", source / "build")) / "k8s"


def missing() -> str:
    """Why there is no Kubernetes to run; "" if there is one."""
    return "" if (programs() / "k8s").exists() else f"no Kubernetes in {programs()}: tests/kube/build makes it"


def program(name: str) -> str:
    if why := missing():
        raise LabError(why)
    return str(programs() / name)


@functools.cache  # they may be built meanwhile
def kubectl() -> str:
    """The one that belongs to these programs, else the machine's; "" if there is none."""
    return (shutil.which("kubectl") or "") if missing() else program("kubectl")


class ControlPlane:
    def __init__(
        self,
        directory: Path,
        address: str,
        start: Callable[[str, list[str]], Process],
        namespace: str = "",
        port: int = PORT,
        service_cidrs: str = SERVICE_CIDRS,
        users: Mapping[str, str] = USERS,
        names: tuple[str, ...] = (),
    ) -> None:
        """@start runs a program in the network namespace that has the address, and keeps it by its name.

        @names are what the server's certificate is for beside the address: "IP:127.0.0.1".
        """
        self.directory, self.address, self.namespace = directory, address, namespace
        self._start, self._port, self._service_cidrs = start, port, service_cidrs
        self._etcd = f"http://{address}:{port + 1}"
        self._users, self._names = users, names
        self._tokens = {user: secrets.token_hex(16) for user in users}
        directory.mkdir(parents=True)
        self._make_certificates()
        self._write_tokens()
        self._write("audit-policy.yaml", yaml.safe_dump(_AUDIT_POLICY))

    @property
    def server(self) -> str:
        return f"https://{self.address}:{self._port}"

    @property
    def audit_log(self) -> Path:
        return self.directory / "audit.log"

    @property
    def authority(self) -> str:
        """The certificate of the authority that has signed all others."""
        return str(self.directory / "ca.crt")

    # ---- starting ----

    def start(self, *flags: str, audited: bool = True) -> None:
        """etcd and the API server, up to its being ready.  @flags go to the API server."""
        self._start(
            "etcd",
            [
                program("etcd"),
                f"--data-dir={self.directory / 'etcd'}",
                f"--listen-client-urls={self._etcd}",
                f"--advertise-client-urls={self._etcd}",
                f"--listen-peer-urls=http://{self.address}:{self._port + 2}",
                f"--initial-advertise-peer-urls=http://{self.address}:{self._port + 2}",
                f"--initial-cluster=default=http://{self.address}:{self._port + 2}",
                "--unsafe-no-fsync",
                "--log-level=error",
            ],
        )
        process = self._start("api", self._api_server(audited, flags))
        self.wait_ready(process)

    def wait_ready(self, process: Process) -> None:
        """Waits until the API server is ready; also after it was started again."""
        client = self.client()

        def ready() -> bool:
            if not process.running():
                raise SystemError(f"the API server ended with status {process.status()}:\n{process.tail()}")
            return client.call("GET", "/readyz") == "ok"

        wait_for("the API server to be ready", ready, READY_SECONDS, 0.1)

    def start_controller_manager(self, *controllers: str, flags: tuple[str, ...] = ()) -> Process:
        """The controllers named ("endpointslice-controller"), or all that are on by default."""
        return self._start(
            "kube-controller-manager",
            [
                program("kube-controller-manager"),
                f"--kubeconfig={self.kubeconfig('admin', self.directory / 'controller-manager.kubeconfig')}",
                f"--controllers={','.join(controllers) or '*'}",
                f"--root-ca-file={self.authority}",
                f"--service-account-private-key-file={self._path('service-account.key')}",
                "--use-service-account-credentials=false",
                "--leader-elect=false",
                f"--bind-address={self.address}",
                *flags,
            ],
        )

    def _api_server(self, audited: bool, flags: tuple[str, ...]) -> list[str]:
        audit = [
            f"--audit-policy-file={self._path('audit-policy.yaml')}",
            f"--audit-log-path={self.audit_log}",
            "--audit-log-maxsize=1000",
        ]
        return [
            program("kube-apiserver"),
            f"--etcd-servers={self._etcd}",
            f"--service-cluster-ip-range={self._service_cidrs}",
            f"--secure-port={self._port}",
            f"--bind-address={self.address}",
            f"--advertise-address={self.address}",
            "--endpoint-reconciler-type=none",
            "--kubelet-preferred-address-types=InternalIP",  # as kubeadm has it: no name of a node resolves
            f"--tls-cert-file={self._path('server.crt')}",
            f"--tls-private-key-file={self._path('server.key')}",
            f"--client-ca-file={self.authority}",
            f"--token-auth-file={self._path('tokens.csv')}",
            f"--service-account-key-file={self._path('service-account.pub')}",
            f"--service-account-signing-key-file={self._path('service-account.key')}",
            "--service-account-issuer=https://kubernetes.default.svc",
            "--authorization-mode=Node,RBAC",
            "--allow-privileged",
            *(audit if audited else ()),
            *flags,
        ]

    # ---- access ----

    def kubeconfig(self, user: str, path: Path, server: str = "") -> Path:
        """Writes a kubeconfig of that user, with another way to the server if it is told one."""
        authority = base64.b64encode(Path(self.authority).read_bytes()).decode()
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "lab",
            "clusters": [
                {"name": "lab", "cluster": {"server": server or self.server, "certificate-authority-data": authority}}
            ],
            "users": [{"name": user, "user": {"token": self._tokens[user]}}],
            "contexts": [{"name": "lab", "context": {"cluster": "lab", "user": user}}],
        }
        path.write_text(yaml.safe_dump(config), encoding="utf-8")
        return path

    def service_account(self, namespace: str, name: str, path: Path) -> Path:
        """Writes a kubeconfig of a service account, with a token such as its Pods have."""
        where = f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}/token"
        made = self.client().call("POST", where, {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest"})
        user = f"system:serviceaccount:{namespace}:{name}"
        self._tokens[user] = made["status"]["token"]
        return self.kubeconfig(user, path)

    def token(self, user: str) -> str:
        return self._tokens[user]

    def client(self, user: str = "admin") -> api.Client:
        tls = ssl.create_default_context(cafile=self.authority)
        return api.Client(self.namespace, self.address, self._port, tls, self._tokens[user])

    # ---- files ----

    def _path(self, name: str) -> str:
        return str(self.directory / name)

    def _write(self, name: str, text: str) -> None:
        path = self.directory / name
        path.touch(0o600)
        path.write_text(text, encoding="utf-8")

    def _write_tokens(self) -> None:
        lines = [f'{token},{user},{user},"{self._users[user]}"' for user, token in self._tokens.items()]
        self._write("tokens.csv", "\n".join(lines) + "\n")

    def _make_certificates(self) -> None:
        self._openssl("req", "-x509", *_NEW_KEY, "-subj", "/CN=lab", "-keyout", "ca.key", "-out", "ca.crt")
        names = (f"IP:{self.address}", "IP:10.96.0.1", "DNS:kubernetes.default.svc", *self._names)
        self.sign("server", "/CN=kube-apiserver", ",".join(names))
        self._openssl("genrsa", "-out", "service-account.key", "2048")
        self._openssl("rsa", "-in", "service-account.key", "-pubout", "-out", "service-account.pub")

    def sign(self, name: str, subject: str, names: str = "") -> tuple[str, str]:
        """Makes NAME.key and NAME.crt, signed by the authority; their paths."""
        extension = ["-addext", f"subjectAltName={names}"] if names else []
        authority = ["-CA", "ca.crt", "-CAkey", "ca.key"]
        files = ["-keyout", f"{name}.key", "-out", f"{name}.crt"]
        self._openssl("req", "-x509", *authority, *_NEW_KEY, "-subj", subject, *extension, *files)
        return self._path(f"{name}.key"), self._path(f"{name}.crt")

    def _openssl(self, *arguments: str) -> None:
        done = subprocess.run(
            ["openssl", *arguments], cwd=self.directory, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise LabError(f"openssl {' '.join(arguments)}: {done.stderr.strip()}")


_NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2")
