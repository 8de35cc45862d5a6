# SPDX-License-Identifier: Apache-2.0
"""The site's name server: BIND at the control plane's address, with zones of its own and no recursion.

Whoever has the key may transfer zones and change them by RFC 2136.
"""

import base64
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path

from . import net, netns
from .processes import Process
from .waiting import LabError, wait_for

PORT = 53
KEY_NAME = "external-dns"  # who changes zones, as docs/dns.md has it
KEY_ALGORITHM = "hmac-sha256"
_PROGRAM = "/usr/sbin/named"

_CONFIGURATION = """
options {{
	directory "{directory}";
	listen-on port {port} {{ {address}; }};
	listen-on-v6 {{ none; }};
	pid-file none;
	session-keyfile none;
	recursion no;
	dnssec-validation no;
	notify no;
}};
controls {{ }};
key "{key}" {{ algorithm {algorithm}; secret "{secret}"; }};
"""
_ZONE = """
zone "{zone}" {{
	type primary;
	file "{zone}.zone";
	allow-update {{ key "{key}"; }};
	allow-transfer {{ key "{key}"; }};
}};
"""
_RECORDS = """$TTL 1
@ SOA ns hostmaster 1 60 60 60 1
@ NS ns
ns A {address}
"""


class NameServer:
    """Ends with its lab, whose network it is part of."""

    def __init__(self, network: net.Network, directory: Path, start: Callable[[str, list[str], str], Process]) -> None:
        self.address = network.control_plane.address
        self.secret = base64.b64encode(secrets.token_bytes(32)).decode()
        self._namespace, self._directory, self._start = network.control_plane.namespace, directory, start

    def start(self, zones: Mapping[str, str]) -> None:
        """@zones: records of each zone beside SOA and NS, as a zone file has them."""
        self._directory.mkdir()
        names = {"key": KEY_NAME, "address": self.address}
        text = _CONFIGURATION.format(
            directory=self._directory, port=PORT, algorithm=KEY_ALGORITHM, secret=self.secret, **names
        )
        for zone, records in zones.items():
            file = self._directory / f"{zone}.zone"
            file.write_text(_RECORDS.format(address=self.address) + records, encoding="ascii")
            text += _ZONE.format(zone=zone, **names)
        configuration = self._directory / "named.conf"
        configuration.write_text(text, encoding="ascii")
        configuration.chmod(0o600)
        process = self._start("named", [_PROGRAM, "-g", "-n", "1", "-c", str(configuration)], self._namespace)

        def answers() -> bool:
            if not process.running():
                raise LabError(f"named ended with status {process.status()}:\n{process.tail()}")
            return all(self.ask(self._namespace, zone, "SOA") for zone in zones)

        wait_for("the name server", answers, 30, 0.2)

    def ask(self, namespace: str, name: str, kind: str = "A") -> list[str]:
        """What the server answers to somebody in a namespace, one record a line; nothing if there is no such name."""
        return netns.dig(namespace, self.address, name, kind)

    def records(self, zone: str) -> list[str]:
        """All that it holds of a zone beside the SOA, one record a line, sorted."""
        key = f"{KEY_ALGORITHM}:{KEY_NAME}:{self.secret}"
        argv = ["dig", "+noall", "+answer", "+onesoa", "-y", key, f"@{self.address}", zone, "AXFR"]
        lines = netns.output(self._namespace, argv).splitlines()
        return sorted(" ".join(line.split()) for line in lines if line.split()[3] not in ("SOA", "TSIG"))
