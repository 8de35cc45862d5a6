# SPDX-License-Identifier: Apache-2.0
"""What the kernel has on a node in the room of the service proxy, in each mode, so that two states can be compared: a
line for each rule, element, virtual server and routing rule, in an order that does not depend on how they came about.

Numbers of sets depend on which were free; so each is named by the endpoints in it.
"""

import re
from dataclasses import dataclass

from proxyroom import BY_NFTABLES, ns, save

from lab import ipvs, netns

# Of src/proxy/ipvs: the bit in the marks of our virtual servers, and the number of our protocol.
TAG, PROTOCOL = 0x1000, 70
OURS = "fairlead's"  # how lines begin that are not of nftables or iptables


def state(node: str, mode: str) -> list[str]:
    """All rules, chains in an order of their own, rules within a chain in theirs."""
    if mode not in BY_NFTABLES:
        return _tables_of_iptables(save(node, mode))
    servers = _servers(node) if mode == "ipvs" else []
    lines = _tables_of_nftables(save(node, "nftables"), servers)
    return lines + sorted(map(str, servers)) + (_routing(node) if mode == "ipvs" else [])


def ours(lines: list[str]) -> list[str]:
    return [l for l in lines if re.match(rf"table ip6? fairlead:|{OURS} ", l) or ("FL-" in l and "others" not in l)]


def theirs(lines: list[str]) -> list[str]:
    mine = ours(lines)
    return [line for line in lines if line not in mine]


def _tables_of_iptables(lines: list[str]) -> list[str]:
    family, table, found = "", "", []
    for line in lines:
        if line.startswith("*"):
            family = "6" if ("4", line) in [one[:2] for one in found] else "4"
            table = line
        chain = line.split()[1] if line.startswith("-A") else line.split()[0][1:] if line.startswith(":") else ""
        found.append((family, table, chain, line))
    return [f"{f} {t} {line}" for f, t, _, line in sorted(found, key=lambda one: one[:3])]


# ---- virtual servers, and what leads to them ----


@dataclass
class Server:
    """As the kernel tells of it; `endpoints` the newest first, with how they are reached and their weight."""

    name: list[str]  # its kind, its address or mark, the scheduler
    endpoints: list[str]

    @property
    def mark(self) -> int:
        """0: it is not one of ours."""
        mark = int(self.name[1], 16) if self.name[0] == "FWM" else 0
        return mark if mark & TAG else 0

    @property
    def table(self) -> str:
        """Whose sets it is of: the family is told by the endpoints alone."""
        return f"table ip{'6' * any('[' in one for one in self.endpoints)} fairlead"

    @property
    def content(self) -> str:
        """To a scheduler that hashes, the order of endpoints is of meaning."""
        scheduler = self.name[2]
        endpoints = self.endpoints if scheduler in ("mh", "sh") else sorted(self.endpoints)
        return " ".join([scheduler, *endpoints])

    def __str__(self) -> str:
        if self.mark:
            return f"{OURS} virtual server for {self.table}: {self.content}"
        return f"virtual server {' '.join(self.name)}: {self.content}"


def _servers(node: str) -> list[Server]:
    """Of a few alone: the kernel counts other namespaces' servers, too, when it goes on after some 4 KB."""
    found: list[Server] = []
    for words in (line.split() for line in netns.output(ns(node), ["cat", str(ipvs.TABLE)]).splitlines()[3:]):
        if words[0] == "->":
            found[-1].endpoints.append(" ".join(words[1:4]))  # without how many connections it has
        else:
            found.append(Server(words, []))
    return found


def _routing(node: str) -> list[str]:
    found = []
    for family in ("-4", "-6"):
        for what in (("rule", "show"), ("route", "show", "table", "all")):
            listed = netns.output(ns(node), ["ip", "-d", family, *what]).splitlines()
            own = re.compile(rf"proto(col)? {PROTOCOL}\b")
            found += [f"{OURS} {what[0]} {family}: {' '.join(line.split())}" for line in listed if own.search(line)]
    return sorted(found)


# ---- nftables ----


def _tables_of_nftables(lines: list[str], servers: list[Server]) -> list[str]:
    table, block, found = "", "", []
    text = re.sub(r",\n\s+", ", ", "\n".join(lines))
    for line in text.splitlines():
        if line.startswith("table"):
            table, block = line.strip(" {"), ""
        elif re.match(r"\t\w", line):
            block = line.strip(" \t{")
        elements = re.fullmatch(r"\s*elements = \{ (.*) \}", line)
        parts = elements[1].split(", ") if elements else [line.strip()]
        if block in ("map tickets", "map endpoints"):  # which place of its set an endpoint has is of no matter
            parts = [re.sub(r" \. 0x[0-9a-f]{8} : ", " . any : ", part) for part in parts]
        found += [(table, block, part) for part in parts if part not in ("", "}")]
    return sorted(_named_by_content([f"{t}: {b}: {part}" for t, b, part in found], servers), key=_order_of)


def _order_of(line: str) -> tuple[str, ...]:
    """Rules of a chain keep theirs; elements have none."""
    table, block, rest = line.split(": ", 2)
    return (table, block) if block.startswith("chain") else (table, block, rest)


def _named_by_content(lines: list[str], servers: list[Server]) -> list[str]:
    sets = {(s.table, s.mark & ~TAG): [s.content] for s in servers if s.mark}
    for line in lines:
        if entry := re.fullmatch(r"(.*): map (?:members|endpoints): (0x\w+) \. \w+ : (.*)", line):
            sets.setdefault((entry[1], int(entry[2], 16)), []).append(entry[3])

    def name(table: str, number: re.Match[str]) -> str:
        flags, low = divmod(int(number[0], 16), 1 << 30)
        found = sets.get((table, low))
        return f"{flags} {' '.join(sorted(found))}" if found else number[0]

    return [re.sub(r"\b0x[0-9a-f]{8}\b", lambda n, line=line: name(line.split(": ")[0], n), line) for line in lines]
