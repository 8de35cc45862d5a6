# SPDX-License-Identifier: Apache-2.0
"""The lab's own client of the API server: from a namespace, by plain HTTP or by TLS with a token, and watches.

Plain requests take a connection each; by TLS each thread keeps one, for the sake of the handshakes.
"""

import base64
import http.client
import json
import ssl
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from urllib.parse import urlencode, urlsplit

import yaml

from . import web
from .waiting import PATIENCE, LabError

Object = dict[str, Any]

MERGE = "application/merge-patch+json"
STRATEGIC = "application/strategic-merge-patch+json"
_HEADERS = {"Accept": "application/json", "User-Agent": "fairlead-lab"}

# kind: (group and version, plural, namespaced)
_KINDS = {
    "Namespace": ("v1", "namespaces", False),
    "Node": ("v1", "nodes", False),
    "Pod": ("v1", "pods", True),
    "Service": ("v1", "services", True),
    "ConfigMap": ("v1", "configmaps", True),
    "Secret": ("v1", "secrets", True),
    "Event": ("events.k8s.io/v1", "events", True),
    "EndpointSlice": ("discovery.k8s.io/v1", "endpointslices", True),
    "Lease": ("coordination.k8s.io/v1", "leases", True),
    "ValidatingWebhookConfiguration": ("admissionregistration.k8s.io/v1", "validatingwebhookconfigurations", False),
}


class ApiError(LabError):
    """The API server refused; `code` is the HTTP status, or 0 if it could not be reached."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


def path_of(kind: str, namespace: str = "", name: str = "", subresource: str = "") -> str:
    """The URL path; of a namespaced kind without a namespace: of all of them."""
    version, plural, namespaced = _KINDS[kind]
    parts = ["api" if version == "v1" else "apis", version]
    if namespaced and namespace:
        parts += ["namespaces", namespace]
    parts += [p for p in (plural, name, subresource) if p]
    return "/" + "/".join(parts)


class Client:
    def __init__(
        self, namespace: str, host: str, port: int, tls: ssl.SSLContext | None = None, token: str = ""
    ) -> None:
        self._namespace, self._host, self._port = namespace, host, port
        self._tls = tls
        self._headers = _HEADERS | ({"Authorization": f"Bearer {token}"} if token else {})
        self._kept = threading.local()

    @classmethod
    def of_kubeconfig(cls, path: Path, namespace: str) -> "Client":
        """Of a kubeconfig with one cluster and one user."""
        config = yaml.safe_load(path.read_text(encoding="utf-8"))
        cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
        url = urlsplit(cluster["server"])
        tls = None
        if url.scheme == "https":
            authority = base64.b64decode(cluster["certificate-authority-data"]).decode()
            tls = ssl.create_default_context(cadata=authority)
        return cls(namespace, url.hostname or "", url.port or 443, tls, user.get("token", ""))

    def call(
        self,
        method: str,
        path: str,
        body: object = None,
        content_type: str = "application/json",
        timeout: float = 10.0 * PATIENCE,
    ) -> Any:
        """One request; the decoded answer."""
        data = None if body is None else json.dumps(body)
        headers = {**self._headers, "Content-Type": content_type}
        try:
            status, text = self._exchange(method, path, data, headers, timeout)
        except (OSError, http.client.HTTPException) as error:
            raise ApiError(0, f"{method} {path}: {error}") from error
        if status >= 300:
            raise ApiError(status, f"{method} {path}: {status} {_message(text)}")
        try:
            return json.loads(text) if text else None
        except ValueError:
            return text

    def _exchange(
        self, method: str, path: str, data: str | None, headers: dict[str, str], timeout: float
    ) -> tuple[int, str]:
        kept = getattr(self._kept, "connection", None)
        if kept:
            kept.sock.settimeout(timeout)
            self._kept.connection = None
            try:
                return self._ask(kept, method, path, data, headers)
            except (ConnectionError, ssl.SSLError):
                kept.close()  # the server has closed it meanwhile, or is another one now
        return self._ask(self._connection(timeout), method, path, data, headers)

    def _ask(
        self, connection: http.client.HTTPConnection, method: str, path: str, data: str | None, headers: dict[str, str]
    ) -> tuple[int, str]:
        try:
            connection.request(method, path, data, headers)
            response = connection.getresponse()
            text = response.read().decode()
        except BaseException:
            connection.close()
            raise
        if self._tls and connection.sock:
            self._kept.connection = connection
        else:
            connection.close()
        return response.status, text

    def _connection(self, timeout: float) -> http.client.HTTPConnection:
        if self._tls:
            return web.TlsConnection(self._namespace, self._host, self._port, timeout, self._tls)
        return web.Connection(self._namespace, self._host, self._port, timeout)

    def get(self, kind: str, name: str, namespace: str = "default") -> Object:
        return self.call("GET", path_of(kind, namespace, name))

    def find(self, kind: str, name: str, namespace: str = "default") -> Object | None:
        """The object, or None if there is none."""
        try:
            return self.get(kind, name, namespace)
        except ApiError as error:
            if error.code == 404:
                return None
            raise

    def objects(self, kind: str, namespace: str = "", **query: str) -> list[Object]:
        return self.objects_with_version(kind, namespace, **query)[0]

    def objects_with_version(self, kind: str, namespace: str = "", **query: str) -> tuple[list[Object], str]:
        suffix = "?" + urlencode(query) if query else ""
        answer = self.call("GET", path_of(kind, namespace) + suffix)
        return answer.get("items") or [], answer["metadata"]["resourceVersion"]

    def create(self, obj: Object) -> Object:
        return self.call("POST", path_of(obj["kind"], _namespace_of(obj)), obj)

    def patch(
        self,
        kind: str,
        name: str,
        change: Object,
        namespace: str = "default",
        subresource: str = "",
        content_type: str = MERGE,
    ) -> Object:
        return self.call("PATCH", path_of(kind, namespace, name, subresource), change, content_type)

    def delete(self, kind: str, name: str, namespace: str = "default", grace_seconds: int | None = None) -> None:
        suffix = "" if grace_seconds is None else f"?gracePeriodSeconds={grace_seconds}"
        self.call("DELETE", path_of(kind, namespace, name) + suffix)

    def create_all(self, objects: list[Object], threads: int = 8) -> None:
        """Creates many, several at a time."""
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(self.create, objects))

    def bind(self, pod: str, namespace: str, node: str) -> None:
        """Gives a Pod its node, as the scheduler does."""
        binding = {"apiVersion": "v1", "kind": "Binding", "metadata": {"name": pod}, "target": {"name": node}}
        self.call("POST", path_of("Pod", namespace, pod, "binding"), binding)

    def apply(self, obj: Object) -> Object:
        """Creates the object, or merges it into the one that is there."""
        try:
            return self.create(obj)
        except ApiError as error:
            if error.code != 409:
                raise
        return self.patch(obj["kind"], obj["metadata"]["name"], obj, _namespace_of(obj))

    def apply_file(self, path: Path) -> list[Object]:
        """Applies every document of a manifest, or of each manifest in a directory, in order of name."""
        files = sorted(path.glob("*.yaml")) if path.is_dir() else [path]
        documents = [d for f in files for d in yaml.safe_load_all(f.read_text(encoding="utf-8")) if d]
        return [self.apply(d) for d in documents]

    def watch(self, kind: str, version: str, seconds: int = 300) -> Iterator[tuple[str, Object]]:
        """Events from `version` on until the server ends the watch; ApiError if it breaks."""
        query = {"watch": "1", "resourceVersion": version, "allowWatchBookmarks": "true", "timeoutSeconds": seconds}
        connection = self._connection(seconds + 10)
        try:
            connection.request("GET", f"{path_of(kind)}?{urlencode(query)}", headers=self._headers)
            response = connection.getresponse()
            if response.status != 200:
                raise ApiError(response.status, f"watch {kind}: {response.status}")
            while line := response.readline():
                event = json.loads(line)
                if event["type"] == "ERROR":
                    raise ApiError(event["object"].get("code", 500), f"watch {kind}: {event['object']}")
                yield event["type"], event["object"]
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise ApiError(0, f"watch {kind}: {error}") from error
        finally:
            connection.close()


def _namespace_of(obj: Object) -> str:
    namespaced = _KINDS[obj["kind"]][2]
    return obj["metadata"].get("namespace", "default") if namespaced else ""


def _message(text: str) -> str:
    try:
        return json.loads(text).get("message", text)
    except (ValueError, AttributeError):
        return text.strip()
