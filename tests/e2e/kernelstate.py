# SPDX-License-Identifier: Apache-2.0
"""What the kernel has on a node in the room of the service proxy, in each mode, so that two states can be compared: a
line for each rule, element, virtual server and routing rule, in an order that does not depend on how they came about.

Numbers of sets depend on which were free; so each is named by the endpoints in it.
"""

import re

from proxyroom import BY_NFTABLES, ns, save

from lab import netns, virtualservers
from lab.virtualservers import Server

# Of src/proxy/ipvs: the bit in the marks of our virtual servers, and the number of our protocol.
TAG, PROTOCOL = 0x1000, 70
OURS = "fairlead's"  # how lines begin that are not of nftables or iptables


def state(node: str, mode: str) -> list[str]:
    """All rules, chains in an order of their own, rules within a chain in theirs."""
    if mode not in BY_NFTABLES:
        return _tables_of_iptables(save(node, mode))
    servers = virtualservers.servers(ns(node)) if mode == "ipvs" else []
    lines = _tables_of_nftables(save(node, "nftables"), servers)
    return lines + sorted(map(_line, servers)) + (_routing(node) if mode == "ipvs" else [])


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


def _table(server: Server) -> str:
    """Whose sets it is of."""
    return f"table ip{'6' * (server.family == 6)} fairlead"


def _content(server: Server) -> str:
    """To a scheduler that hashes, the order of endpoints is of meaning."""
    endpoints = list(map(str, server.endpoints))
    if server.scheduler not in ("mh", "sh"):
        endpoints.sort()
    return " ".join([server.scheduler, *endpoints])


def _line(server: Server) -> str:
    how = f"flags {server.flags:#x}, time-out {server.timeout_s} s, {_content(server)}"
    if server.mark & TAG:
        return f"{OURS} virtual server for {_table(server)}: {how}"
    return f"virtual server {server.where}: {how}"


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
    sets = {(_table(s), s.mark & ~TAG): [_content(s)] for s in servers if s.mark & TAG}
    for line in lines:
        if entry := re.fullmatch(r"(.*): map (?:members|endpoints): (0x\w+) \. \w+ : (.*)", line):
            sets.setdefault((entry[1], int(entry[2], 16)), []).append(entry[3])

    def name(table: str, number: re.Match[str]) -> str:
        flags, low = divmod(int(number[0], 16), 1 << 30)
        found = sets.get((table, low))
        return f"{flags} {' '.join(sorted(found))}" if found else number[0]

    return [re.sub(r"\b0x[0-9a-f]{8}\b", lambda n, line=line: name(line.split(": ")[0], n), line) for line in lines]
