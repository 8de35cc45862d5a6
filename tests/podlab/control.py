# SPDX-License-Identifier: Apache-2.0
"""The control plane: etcd, kube-apiserver, kube-controller-manager and kube-scheduler, in the namespace cp."""

from pathlib import Path

import yaml

from lab import net

SERVICE_NETWORK = "10.96.0.0/16"
KUBERNETES_ADDRESS = "10.96.0.1"  # of the Service `kubernetes`
PORT = 6443
_ETCD = "http://127.0.0.1:2379"

# Every request of a service account, by verb, resource and answer: who used which right.
_AUDIT_POLICY = {
    "apiVersion": "audit.k8s.io/v1",
    "kind": "Policy",
    "omitStages": ["RequestReceived"],
    "omitManagedFields": True,
    "rules": [
        {"level": "None", "userGroups": ["system:serviceaccounts:kube-system"]},
        {"level": "Metadata", "userGroups": ["system:serviceaccounts"]},
        {"level": "None"},
    ],
}


def etcd(data: Path) -> list[str]:
    peer = "http://127.0.0.1:2380"
    return [
        "etcd",
        f"--data-dir={data}",
        f"--listen-client-urls={_ETCD}",
        f"--advertise-client-urls={_ETCD}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--unsafe-no-fsync",
        "--log-level=warn",
    ]


def apiserver(pki: Path, audit_log: Path) -> list[str]:
    policy = pki / "audit-policy.yaml"
    policy.write_text(yaml.safe_dump(_AUDIT_POLICY), encoding="ascii")
    return [
        "kube-apiserver",
        f"--etcd-servers={_ETCD}",
        f"--service-cluster-ip-range={SERVICE_NETWORK}",
        f"--secure-port={PORT}",
        "--bind-address=0.0.0.0",
        f"--advertise-address={net.CONTROL_PLANE}",
        f"--tls-cert-file={pki / 'server.crt'}",
        f"--tls-private-key-file={pki / 'server.key'}",
        f"--client-ca-file={pki / 'ca.crt'}",
        f"--service-account-key-file={pki / 'sa.pub'}",
        f"--service-account-signing-key-file={pki / 'sa.key'}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--token-auth-file={pki / 'tokens.csv'}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--kubelet-preferred-address-types=InternalIP",
        # A node that is gone loses its Pods in seconds rather than minutes.
        "--default-not-ready-toleration-seconds=5",
        "--default-unreachable-toleration-seconds=5",
        f"--audit-policy-file={policy}",
        f"--audit-log-path={audit_log}",
    ]


def controller_manager(pki: Path, kubeconfig: Path) -> list[str]:
    return [
        "kube-controller-manager",
        f"--kubeconfig={kubeconfig}",
        f"--root-ca-file={pki / 'ca.crt'}",
        f"--service-account-private-key-file={pki / 'sa.key'}",
        "--use-service-account-credentials",
        "--leader-elect=false",
        "--node-monitor-period=1s",
        "--node-monitor-grace-period=10s",
        "--bind-address=127.0.0.1",
    ]


def scheduler(kubeconfig: Path) -> list[str]:
    return ["kube-scheduler", f"--kubeconfig={kubeconfig}", "--leader-elect=false", "--bind-address=127.0.0.1"]
