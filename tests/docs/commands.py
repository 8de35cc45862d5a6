# SPDX-License-Identifier: Apache-2.0
"""The commands that README.md and docs/ tell people to type, and which test runs each.

A fenced block says what it is: `sh` holds commands, `console` commands behind "$ " with what they print; `text`, `yaml`
and `python` hold none.  In backticks a command is one of the PROGRAMS with an operand or a flag; `fairlead status`
alone is a name.

A command without a row is run by tests/e2e/test_documents.py in a lab, page by page and in order; it has to end well
and to print what the page shows.  A row in ROWS says that another test runs it, or why nobody does.
tests/docs/test_commands.py compares rows, pages and tests.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]
PAGES = ("README.md", "charts/fairlead/README.md", *sorted(f"docs/{p.name}" for p in SOURCE.glob("docs/*.md")))
LANGUAGES = ("sh", "console", "text", "yaml", "python")
PROGRAMS = """
    arping cd curl fairlead fairlead-controller fairlead-speaker git head helm ip kubectl make python3 vtysh
    tests/cluster tests/demo tests/install tests/lint tests/mutate tests/run tests/cli/golden tests/bench/allocate
    tests/bench/failover tests/bench/proxy tests/upstream tests/vm
""".split()


@dataclass(frozen=True)
class Command:
    page: str
    line: int
    text: str
    shown: tuple[str, ...] = ()  # what the page says that it prints; nothing: anything

    def __str__(self) -> str:
        return f"{self.page}:{self.line}: {self.text}"


@dataclass(frozen=True)
class Row:
    page: str
    command: str  # as it stands there, or how it begins, with … at the end
    by: str = ""  # FILE::TEST, or FILE and a line or part of one that runs it, as "FILE: TEXT"
    never: str = ""  # why no test runs it
    # For tests/e2e/test_documents.py, which runs what neither of these says anything about:
    on: str = "cp"  # the host of the lab
    words: tuple[str, ...] = ()  # what is typed for the words in capitals, one after another
    status: int = 0  # how it ends

    def is_about(self, command: Command) -> bool:
        if self.page != command.page:
            return False
        return command.text.startswith(self.command[:-1]) if self.command[-1] == "…" else command.text == self.command


def blocks(page: str) -> Iterator[tuple[int, str, list[str]]]:
    """The fenced blocks: the number of their first line, the language, the lines."""
    inside: tuple[int, str, int] | None = None
    found: list[str] = []
    for number, line in enumerate((SOURCE / page).read_text(encoding="utf-8").splitlines(), 1):
        if fence := re.match(r"( *)```(\w*)$", line):
            if inside:
                yield inside[0], inside[1], found
                inside = None
            else:
                inside, found = (number + 1, fence[2], len(fence[1])), []
        elif inside:
            found.append(line[inside[2] :])


def _logical(lines: list[str]) -> Iterator[tuple[int, str]]:
    """Commands of a shell, without comments; one that goes on in the next line is one."""
    begun, number = "", 0
    for i, line in enumerate(lines):
        line = re.sub(r"(^|\s+)#\s.*", "", line).rstrip()
        number = number if begun else i
        begun = f"{begun} {line.strip()}".strip()
        if begun.endswith("\\"):
            begun = begun[:-1].rstrip()
        elif begun and not begun.endswith(("|", "&&")):
            yield number, begun
            begun = ""
    if begun:
        yield number, begun


def _in_blocks(page: str) -> Iterator[Command]:
    for first, language, lines in blocks(page):
        if language == "sh":
            yield from (Command(page, first + i, text) for i, text in _logical(lines))
        if language == "console":
            for i, line in enumerate(lines):
                if line.startswith("$ "):
                    shown = lines[i + 1 : next((j for j in range(i + 1, len(lines)) if lines[j][:2] == "$ "), None)]
                    yield Command(page, first + i, line[2:], tuple(shown))


def spans(page: str) -> Iterator[tuple[int, str]]:
    """What stands in backticks within the prose and the tables."""
    text = (SOURCE / page).read_text(encoding="utf-8")
    prose = re.sub(r"^ *```.*?^ *```", lambda m: "\n" * m[0].count("\n"), text, flags=re.MULTILINE | re.DOTALL)
    for found in re.finditer(r"`([^`]+)`", prose):
        yield prose.count("\n", 0, found.start()) + 1, " ".join(found[1].replace("\\|", "|").split())


def _in_prose(page: str) -> Iterator[Command]:
    for line, span in spans(page):
        words = re.sub(r"^(?:[A-Z_]+=\S+ )+", "", span).split()
        if words and words[0] in PROGRAMS and any(not re.fullmatch(r"[a-z]+|l2", w) for w in words[1:]):
            yield Command(page, line, span)


def commands(page: str) -> list[Command]:
    """All of a page in its order; of those that stand there again and again, the first one."""
    found: dict[tuple[str, tuple[str, ...]], Command] = {}
    for command in sorted([*_in_blocks(page), *_in_prose(page)], key=lambda c: c.line):
        found.setdefault((command.text, command.shown), command)
    return list(found.values())


def row(command: Command) -> Row | None:
    return next((r for r in ROWS if r.is_about(command)), None)


def given_to(test: str) -> list[Command]:
    """What the rows give to a test, in the order of the pages."""
    return [c for page in PAGES for c in commands(page) if (r := row(c)) and r.by == test]


def without_test(page: str) -> list[Command]:
    """What no row gives to another test, or to nobody."""
    return [c for c in commands(page) if not (r := row(c)) or not (r.by or r.never)]


# ---- what is printed ----

_PLACEHOLDERS = (
    (r": [a-z][^:]* \(Owner[A-Z]\w+\)\.$", "CAUSE"),  # whose turn it was, and why, is the lab's history
    (r"(?<=\bfairlead-test-)[a-z0-9]{5}\b", "NAME"),
    (r"\b(?:[0-9a-f]{2}:){5}[0-9a-f]{2}\b", "MAC"),
    (r"(?<![\w:])(?:[0-9a-f]{0,4}:){2,7}[0-9a-f]{0,4}(?:/\d+)?(?![\w:])", "ADDRESS"),
    (r"\b\d+(?:\.\d+){3}(?:/\d+)?\b", "ADDRESS"),
    (r"\b\d+(?::\d\d)+\b", "AGE"),
    (r"\b(?:\d+(?:ms|[smhdwy]))+\b", "AGE"),
    (r"\b(?=[a-f]*\d)[0-9a-f]{8,}\b", "HASH"),
    (r"\d+", "N"),
)


def shape(line: str) -> str:
    """Words, columns and indentation; what differs from day to day by its kind."""
    indentation = line[: len(line) - len(line.lstrip())]
    text = re.sub(r" {2,}", "  ", line.strip().replace("\t", " "))
    for pattern, kind in _PLACEHOLDERS:
        text = re.sub(pattern, f"<{kind}>", text)
    return indentation + text


def _shapes(lines: Iterable[str]) -> Iterator[str]:
    """Of each line; rows under a title in capitals in one order, since it may be another node's turn each time."""
    table: list[str] = []
    for line in [*lines, ""]:
        is_row = "  " in line.strip()
        if table and not is_row:
            yield from (table[0], *sorted(table[1:]))
            table = []
        if is_row and (table or re.fullmatch(r"[A-Z -]+", line.strip())):
            table.append(shape(line))
        else:
            yield shape(line)


def difference(shown: tuple[str, ...], printed: str) -> str:
    """What is printed otherwise than the page shows; "" if nothing.  A line … stands for any lines."""
    wanted = [r"(?:.*\n)*?" if s.strip() == "…" else re.escape(s) + r"\n" for s in _shapes(shown)]
    found = list(_shapes(printed.splitlines()))
    if re.fullmatch("".join(wanted), "".join(f"{s}\n" for s in found)):
        return ""
    missing = [line for line in shown if line.strip() != "…" and shape(line) not in found]
    return "\n".join(["the page shows", *(f"  {line}" for line in missing or shown), "and this is printed:", printed])


_CAPITALS = r"(?<![\w$.{-])(?!PUT\b)[A-Z][A-Z]+(?![\w=])"


def typed(command: Command, **values: str) -> str:
    """The command as a person types it: with what is optional, and something for each word in capitals."""
    text = re.sub(r"\[((?:--)?[A-Za-z][^][@*]*)\]", r"\1", command.text).replace("…", "")
    given = iter(found.words if (found := row(command)) else ())
    return re.sub(_CAPITALS, lambda m: next(given, values.get(m[0], m[0])), text)


# ---- which test runs what ----

_DAEMONS = "tests/e2e/test_documents_daemons.py::test_daemons_by_hand"
_METALLB = "tests/e2e/test_documents_metallb.py::test_moving_over"
_BGP = "tests/e2e/test_documents_bgp.py"
_README = "tests/e2e-cluster/test_install.py::test_the_section_on_clusters"
_CLUSTER = "tests/e2e-cluster/test_install.py::test_the_pages_on_a_cluster"
_NAMES = "tests/e2e/test_external_dns.py"
_COREDNS = "tests/e2e-cluster/test_names.py::test_load_balancers_have_names"
_INGRESS = "tests/e2e-cluster/test_ingress.py::test_the_page"
_UNINSTALL = "tests/e2e-cluster/test_install.py::test_uninstalling"
_ADDRESSES = "tests/docs/test_addresses.py::test_each_prints_what_the_page_shows"
_WEBHOOK = "tests/e2e/test_webhook.py::test_a_bad_edit_is_refused_in_the_checkers_words"
_IS_THIS = "it runs the tests, this one among them"
_A_NAME = "it names a flag, and is nothing to type"
_KUBE_PROXY = "the cluster of the tests has no kube-proxy in Pods; tests/e2e/test_replacement.py does the same without"
_PACKAGES = "it installs packages, which tests/run does with `tests/install dev` before anything else"
_DISTCHECK = "tests/run: if make -s -C"


def _rows(page: str, *rows: tuple[str, dict[str, object]]) -> tuple[Row, ...]:
    return tuple(Row(page, command, **more) for command, more in rows)  # type: ignore[arg-type]


def _by(test: str) -> dict[str, object]:
    return {"by": test}


def _never(why: str) -> dict[str, object]:
    return {"never": why}


ROWS: tuple[Row, ...] = (
    *_rows(
        "README.md",
        ("tests/demo", _by("tests/run: start_demo all-steps")),
        ("tests/run", _never(_IS_THIS)),
        ("tests/demo --keep", _never("it leaves a lab running, for a person to look around in")),
        ("tests/install image && …", _never(_PACKAGES)),
        ("(cd build && ../configure && make image)", _never("docker; tests/podlab/dockerfile.py runs its Dockerfiles")),
        ("helm install fairlead charts/fairlead …", _by(_README)),
        ("kubectl -n fairlead-system rollout status …", _by(_README)),
        ("kubectl -n fairlead-system describe …", _by(_README)),
        ("kubectl get services …", _by(_README)),
        ("kubectl apply …", _by(_README)),
        ("kubectl get service frontend", _by(_README)),
        ("make image …", _never("docker; tests/podlab/dockerfile.py runs its Dockerfiles")),
        ("curl http://ADDRESS/", {"on": "client"}),
        ("make -C build install", _by(_DISTCHECK)),
        ("tests/install", _never(_PACKAGES)),
        ("./autogen.sh && mkdir -p build && cd build", _by("tests/lib.sh: ./autogen.sh")),
        ("../configure && make && make check && make install", _by(_DISTCHECK)),
    ),
    *_rows(
        "charts/fairlead/README.md",
        ("helm install fairlead charts/fairlead …", _by("README.md: helm install fairlead charts/fairlead")),
        ("kubectl label namespace …", _by(_CLUSTER)),
        ("kubectl -n fairlead-system describe …", _by(_CLUSTER)),
        ("kubectl -n fairlead-system create secret …", _by(_CLUSTER)),
        ("helm upgrade fairlead …", _by(_UNINSTALL)),
        ("kubectl port-forward", _never("it names what does not work by itself")),
        ("helm uninstall fairlead …", _by(_UNINSTALL)),
    ),
    *_rows(
        "docs/contributing.md",
        ("./autogen.sh && …", _by("tests/lib.sh: ./autogen.sh")),
        ("make check", _by('tests/run: make -C "$dir" -k -j"$(nproc)" check')),
        ("make tables", _never("it writes docs/ and man/; tests/unit/test_tables.c compares what it would write")),
        ("cd .. && tests/lint", _by("tests/run: tests/lint 2>&1")),
        ("fairlead config check -o json", _never("it names an output")),
        ("cd tests && python3 -m lab.habits --fix", _never("it writes the sources; tests/lint runs it without --fix")),
        ("cd tests && python3 -m lab.chart_schema", _never("it writes what tests/docs/test_schema.py compares")),
        ("tests/cli/golden --write", _never("it writes what tests/cli/golden compares")),
    ),
    *_rows("docs/addresses.md", ("fairlead plan …", _by(_ADDRESSES))),
    *_rows(
        "docs/configuration.md",
        ("kubectl apply -f new.yaml", _by(_WEBHOOK)),
        ("helm upgrade …", _by("tests/chart/test_server.py::test_the_webhook_refuses_a_bad_edit")),
    ),
    *_rows(
        "docs/bgp.md",
        ("vtysh …", _by(f"{_BGP}::test_what_bgpd_and_bfdd_hold")),
        ("ip rule", {**_by(f"{_BGP}::test_on_nodes_with_a_router"), "on": "node1"}),
        ("fairlead bgp", {**_by(f"{_BGP}::test_on_nodes_with_a_router"), "status": 1}),
    ),
    *_rows(
        "docs/dataplane.md",
        ("tests/demo --proxy=nftables --keep", _never("it leaves a lab running, for a person to look around in")),
        (
            "fairlead explain SERVICE --from CLIENT --to ADDRESS:PORT",
            {"words": ("web", "203.0.113.9", "192.168.1.240", "80")},
        ),
        ("kubectl get configmap -n kube-system …", _never(_KUBE_PROXY)),
        ("fairlead proxy render --node NAME --mode ipvs", {"words": ("node1",)}),
        # Flags alone have no file for the API server, and a line says what to write in its place.
        ("fairlead config convert --kube-proxy-args …", {"status": 2}),
        ("helm upgrade …", _by("tests/e2e-cluster/test_modes.py::test_the_chart_is_upgraded")),
        ("kubectl -n fairlead-system rollout …", _by(_CLUSTER)),
        ("kubectl -n kube-system …", _never(_KUBE_PROXY)),
        ("kubectl debug …", _never(_KUBE_PROXY)),
        ("fairlead status", _by("tests/e2e/test_command_test.py::test_all_is_well")),
        ("fairlead test", _by("tests/e2e/test_command_test.py::test_all_is_well")),
    ),
    *_rows(
        "docs/dns.md",
        ("kubectl -n kube-system rollout …", _by(_COREDNS)),
        ("kubectl apply -f examples/dns.yaml", _by(_COREDNS)),
        ("dig @192.168.1.250 …", _by(_COREDNS)),
        ("kubectl create namespace external-dns", _by(f"{_NAMES}::server")),
        ("kubectl -n external-dns create secret …", _by(f"{_NAMES}::server")),
        ("kubectl apply -f examples/external-dns/external-dns.yaml", _by(f"{_NAMES}::server")),
        ("kubectl apply -f examples/external-dns/frontend.yaml", _by(f"{_NAMES}::test_the_page")),
        ("dig +short …", {**_by(f"{_NAMES}::test_the_page"), "on": "client"}),
    ),
    *_rows(
        "docs/ingress.md",
        ("kubectl apply …", _by(_INGRESS)),
        ("kubectl --namespace ingress rollout …", _by(_INGRESS)),
        ("kubectl get ingress shop", _by(_INGRESS)),
        ("curl --header …", {**_by(f"{_INGRESS}_by_hand"), "on": "client"}),
    ),
    *_rows("docs/limits.md", ("cd tests && python3 -m lab.limits", _by("tests/lint: -m lab.limits --check"))),
    *_rows(
        "docs/migration.md",
        ("kubectl get -n metallb-system …", _by(_METALLB)),
        ("kubectl get configmap -n metallb-system …", _by(_METALLB)),
        ("kubectl get services,endpointslices,nodes,namespaces …", _by(_METALLB)),
        ("fairlead config check config.yaml", _by(_METALLB)),
        ("fairlead plan …", _by(_METALLB)),
        ("helm install … --set-file config=config.yaml", _never("the README's, with one flag more")),
        ("kubectl -n metallb-system get deployments,daemonsets", _never("it shows what others have installed")),
        ("kubectl -n metallb-system scale …", _by(_METALLB)),
        ("kubectl -n metallb-system delete …", _by(_METALLB)),
    ),
    *_rows(
        "docs/operations.md",
        ("fairlead move shop/web …", _by("tests/e2e/test_moves.py::test_a_service_moves_where_it_is_sent")),
        (
            "fairlead release shop/web",
            _by("tests/e2e/test_moves.py::test_a_released_address_is_free_for_who_waits_for_it"),
        ),
        ("fairlead rebalance", _by("tests/e2e/test_rebalance.py::test_a_node_that_returns_gets_its_share")),
        ("fairlead rebalance --dry-run", _by("tests/e2e/test_rebalance.py::test_a_node_that_returns_gets_its_share")),
        ("fairlead l2 --watch", _never("it goes on until it is ended")),
        ("kubectl get services,nodes,endpointslices,configmaps,namespaces …", _never("docs/migration.md has its like")),
        ("helm template …", _by(_CLUSTER)),
        ("kubectl get services,namespaces,nodes,configmaps …", _never("no package of the tests has jq")),
        ("fairlead plan --config config.yaml --state state.json", _never("that of the line before it")),
        ("helm upgrade …", _by(_CLUSTER)),
        ("kubectl -n fairlead-system create secret …", _by(_CLUSTER)),
        ("kubectl -n fairlead-system rollout …", _by(_CLUSTER)),
    ),
    *_rows(
        "docs/performance.md",
        ("tests/bench/proxy …", _never("it measures; tests/e2e/test_bench.py shows that it runs")),
    ),
    *_rows(
        "docs/reasons.md",
        ("make -C build tables", _never("it writes docs/ and man/; tests/unit/test_tables.c compares")),
        ("fairlead explain --state", _never(_A_NAME)),
        ("kubectl logs --previous", _never(_A_NAME)),
    ),
    *_rows(
        "docs/running.md",
        # The lab's daemons are no Pods, and their dumps are for their own nodes.
        ("fairlead sysdump", {"status": 1}),
        ("fairlead move SERVICE …", _by("tests/e2e/test_moves.py::test_a_service_moves_where_it_is_sent")),
        ("fairlead reserve SERVICE ADDRESS", _by("tests/cli/golden: check reserve reserve shop/web 192.168.1.244")),
        ("fairlead rebalance", _by("tests/e2e/test_rebalance.py::test_a_node_that_returns_gets_its_share")),
        (
            "fairlead release SERVICE",
            _by("tests/e2e/test_moves.py::test_a_released_address_is_free_for_who_waits_for_it"),
        ),
        ("fairlead-controller --kubeconfig FILE", _by(_DAEMONS)),
        ("fairlead-speaker --kubeconfig …", _by(_DAEMONS)),
        ("head -c 32 /dev/urandom > KEY", _by(_DAEMONS)),
        ("fairlead config convert FILE…", {"words": ("metallb.yaml",)}),
        ("fairlead plan --config FILE --watch", _by("tests/cli/states.py: check_plan_again()")),
        ("fairlead plan --config FILE [--state FILE…]", {"words": ("config.yaml", "state.yaml")}),
        ("fairlead explain [NAMESPACE/]SERVICE [--state FILE…]", {"words": ("default", "web", "state.yaml")}),
        (
            "fairlead explain SERVICE --from CLIENT --to ADDRESS:PORT",
            {"words": ("web", "192.0.2.9", "192.168.1.240", "80")},
        ),
        # The lab has no slice of its API servers, which alone may ask all speakers for this.
        ("fairlead proxy diff", {"status": 3}),
        ("fairlead proxy render --node NAME [--state FILE]", {"words": ("node1", "state.yaml")}),
        ("fairlead pools --pool NAME --addresses", {"words": ("lan",)}),
        ("fairlead journal …", _by("tests/e2e/test_journal.py::test_who_had_an_address_when")),
        ("fairlead-speaker --cleanup", {**_by(_DAEMONS), "on": "node1"}),
        ("fairlead uninstall", _by("tests/e2e/test_uninstall.py::test_addresses_go_where_that_is_asked_for")),
        ("fairlead test", _by("tests/e2e/test_command_test.py::test_all_is_well")),
        ("fairlead help COMMAND", {"words": ("plan",)}),
        ("curl -X PUT -d debug localhost:17482/loglevel", {"on": "node1"}),
    ),
    *_rows(
        "docs/conformance.md",
        ("tests/upstream run --vm", _never("it takes hours; the nightly run does it")),
    ),
    *_rows(
        "docs/testing.md",
        ("tests/bench/allocate [N]", _never("it measures; figures.md has what came of it")),
        ("tests/bench/failover …", _never("it measures; figures.md has what came of it")),
        ("tests/bench/proxy --services N", _by("tests/e2e/test_bench.py::test_our_own_proxy")),
        ("cd tests && python3 -m lab up mine", _by("tests/e2e/test_lab.py::test_a_lab_by_hand")),
        ("tests/demo --keep", _never("it leaves a lab running, for a person to look around in")),
        ("tests/demo --clean", _by("tests/e2e/test_demo.py::test_leftovers_of_a_killed_demo")),
        ("tests/vm run COMMAND", _by("tests/e2e-vm/test_vm.py::test_commands_in_two_machines_at_a_time")),
        ("tests/vm run --uml COMMAND", _by("tests/e2e-vm/test_vm.py::test_commands_in_two_machines_at_a_time")),
        ("tests/vm run env …", _by("tests/e2e-vm/test_vm.py::test_commands_in_two_machines_at_a_time")),
        ("tests/mutate lease-", _by("tests/run: tests/mutate >")),
        ("tests/mutate --check", _by("tests/lint: tests/mutate --check")),
        (". tests/lib.sh && …", _never("another build, of the whole tree")),
        ("FAIRLEAD_SEEDS=60 make -C build-coverage check", _never("another build, of the whole tree")),
        ("cd tests && python3 -m lab.coverage …", _never("another build, of the whole tree")),
        ("tests/cluster import IMAGE", _by("tests/podlab/cluster.py: def import_images")),
        ("FAIRLEAD_BUILD=build python3 -m pytest …", _never(_IS_THIS)),
        ("python3 -m pytest tests/e2e/test_controller.py …", _never(_IS_THIS)),
        ("kubectl create -f", _never(_A_NAME)),
    ),
    *_rows(
        "docs/troubleshooting.md",
        ("kubectl -n fairlead-system get lease,pods", _by(_CLUSTER)),
        (
            "fairlead explain SERVICE --from CLIENT --to ADDRESS:PORT",
            {"words": ("web", "203.0.113.9", "192.168.1.240", "80")},
        ),
        ("arping -c 3 192.168.1.240", _never("no package of the tests has it; tests/lab/arp.py asks the same")),
        ("ip neigh show 192.168.1.240", {"on": "client"}),
        ("kubectl -n fairlead-system describe pod POD", _by(_CLUSTER)),
        ("kubectl -n fairlead-system logs POD", _by(_CLUSTER)),
        ("curl -X PUT -d debug ADDRESS:17482/loglevel", {"on": "node1", "words": ("192.168.1.11",)}),
        # The lab's daemons are no Pods, whose logs it misses, and their dumps are for their own nodes.
        ("fairlead sysdump --since 2h", {"status": 1}),
        ("curl ADDRESS:17482/dump/…", {"on": "node1", "words": ("192.168.1.11",)}),
    ),
)
