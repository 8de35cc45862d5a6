# SPDX-License-Identifier: Apache-2.0
"""Services that come, change and go at random, as lines for proxyctl.

Few addresses and node ports for many Services, so that several claim the same.
"""

import random
import re

SERVICES, VIPS, NODE_PORTS = 24, 6, 4
PORTS = ("tcp/80", "tcp/443", "udp/53", "sctp/9999")


class Churn:
    """The model: what was said last of each Service in each family."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.wanted: dict[tuple[str, int], str] = {}

    def lines(self, kept: bool = True) -> list[str]:
        """All that is wanted, in any order; without endpoints that are only kept, if @kept is False."""
        found = [line if kept else re.sub(r" kept=\S+", "", line) for line in self.wanted.values()]
        self.chance.shuffle(found)
        return found

    def step(self) -> list[str]:
        """A Service changes in a family, or both, or goes."""
        number = self.chance.randrange(SERVICES)
        said = []
        for family in self.chance.choice(((4,), (4,), (6,), (4, 6))):
            key = f"t/s{number}", family
            if key in self.wanted and self.chance.random() < 0.25:
                del self.wanted[key]
                said.append(f"remove {key[0]} {family}")
            elif key in self.wanted and self.chance.random() < 0.4:
                said.append(self._with_other_endpoints(key))
            else:
                self.wanted[key] = f"service {key[0]} {family} {self._head(number, family)} {self._ports(family)}"
                said.append(self.wanted[key])
        return said

    def _with_other_endpoints(self, key: tuple[str, int]) -> str:
        words = self.wanted[key].split()
        kept = [w for w in words if not w.startswith(("cluster=", "local=", "kept=")) and w != "any"]
        self.wanted[key] = " ".join(
            f"{w} {self._endpoints(w, key[1])}" if w.startswith("port=") else w for w in kept
        )
        return self.wanted[key]

    def _head(self, number: int, family: int) -> str:
        chance, words = self.chance, []
        if chance.random() < 0.9:
            # Sometimes somebody else's.
            owner = number if chance.random() < 0.9 else chance.randrange(SERVICES)
            words.append(f"cluster-ip={'10.96.2.' if family == 4 else 'fd00:96::2:'}{owner + 1}")
        outside = chance.sample(range(1, VIPS + 1), chance.choice((0, 1, 1, 2, 3)))
        prefix = "203.0.113." if family == 4 else "fd00:203::"
        words += [f"{chance.choice(('vip', 'vip', 'external-ip'))}={prefix}{one}" for one in outside]
        if chance.random() < 0.3:
            words += [f"range={one}" for one in chance.sample(self._ranges(family), chance.choice((1, 2)))]
        words += [word for word in ("external=Local", "internal=Local") if chance.random() < 0.25]
        if chance.random() < 0.25:
            words.append(f"affinity={chance.choice((1, 60, 86400))}")
        return " ".join(words)

    def _ranges(self, family: int) -> list[str]:
        if family == 4:
            return ["198.51.100.0/24", "192.168.77.0/24", "10.244.0.0/16", "0.0.0.0/0"]
        return ["fd00:51::/64", "fd00:77::/64", "fd00:244::/32", "::/0"]

    def _ports(self, family: int) -> str:
        ports = self.chance.sample(PORTS, self.chance.choice((1, 1, 2, 4)))
        words = [f"port={port}{self._node_port()}" for port in ports]
        return " ".join(f"{word} {self._endpoints(word, family)}" for word in words)

    def _node_port(self) -> str:
        return f"/{30000 + self.chance.randrange(NODE_PORTS)}" if self.chance.random() < 0.5 else ""

    def _endpoints(self, port: str, family: int) -> str:
        chance = self.chance
        prefix = "10.244.1." if family == 4 else "fd00:244:1::"
        some = chance.sample(range(64, 200), chance.choice((0, 1, 1, 2, 3, 5, 50)))
        words = [f"cluster={prefix}{one};8080" for one in some]
        words += [f"local={prefix}{one};8080" for one in some if chance.random() < 0.4]
        if port.startswith("port=udp"):
            words += [f"kept={prefix}{one};8080" for one in chance.sample(range(200, 250), chance.choice((0, 0, 1, 3)))]
        if chance.random() < 0.1:
            words.append("any")
        return " ".join(words)
