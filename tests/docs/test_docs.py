# SPDX-License-Identifier: Apache-2.0
"""What README.md, docs/ and the chart's page name is there, and what they print is what the programs print.

Each test reads all pages.  Text in backticks and in code blocks counts: a command, flag, file, value, metric or
annotation of ours that stands there must exist.  tests/lint runs this; it needs the built programs (FAIRLEAD_BUILD).
"""

import os
import re
import shlex
import subprocess
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from docs.commands import commands as commands_of
from lab.limits import number
from packets.differences import DIFFERENCES, SIDES

SOURCE = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("FAIRLEAD_BUILD", SOURCE / "build"))
EXAMPLE = SOURCE / "examples" / "metallb"
PAGES = (
    "README.md",
    "CHANGELOG.md",
    "SECURITY.md",
    "charts/fairlead/README.md",
    *sorted(f"docs/{p.name}" for p in SOURCE.glob("docs/*.md")),
)
FLAGS = "docs/running.md"
COMMANDS = ("sh", "console")  # languages of blocks with commands
PROGRAMS = {
    "fairlead": "src/cli/fairlead",
    "fairlead-controller": "src/controller/fairlead-controller",
    "fairlead-speaker": "src/speaker/fairlead-speaker",
}
DAEMONS = {"fairlead-controller", "fairlead-speaker"}
SCRIPTS = """
    tests/demo tests/run tests/cluster tests/upstream tests/mutate tests/bench/run tests/bench/proxy tests/vm
""".split()
# Flags that stand in backticks by themselves, and whose they are.
OTHERS_FLAGS = {
    "--lb-class": "MetalLB",
    "--no-hooks": "helm",
    "--node-monitor-grace-period": "kube-controller-manager",
    "--reuse-values": "helm",
    "--set": "helm",
    "--server": "pytest, tests/e2e/conftest.py",
    "--noflush": "iptables-restore",
}
# First words of a path that is meant to be in the tree.
ROOMS = ("build-aux", "charts", "docs", "examples", "images", "include", "m4", "man", "src", "tests")


def text(page: str) -> str:
    return (SOURCE / page).read_text(encoding="utf-8")


def blocks(page: str) -> list[tuple[str, str]]:
    """The code blocks: language and text."""
    found = re.findall(r"^( *)```(\w*)\n(.*?)^ *```", text(page), re.MULTILINE | re.DOTALL)
    return [(language, textwrap.dedent(body)) for _, language, body in found]


def spans(page: str) -> list[str]:
    """What stands in backticks within the prose and the tables."""
    prose = re.sub(r"^ *```.*?^ *```", "", text(page), flags=re.MULTILINE | re.DOTALL)
    return [" ".join(s.replace("\\|", "|").split()) for s in re.findall(r"`([^`]+)`", prose)]


def program(name: str, *arguments: str, stdin: str = "", status: int | None = 0) -> str:
    argv = [str(BUILD / PROGRAMS[name]), *arguments]
    done = subprocess.run(argv, input=stdin, capture_output=True, text=True, check=False)
    assert status is None or done.returncode == status, f"{argv}: {done.returncode}: {done.stderr}"
    return done.stdout


def flags_in(words: str) -> set[str]:
    return set(re.findall(r"(?<![\w-])--[a-z][a-z0-9-]+", words))


@pytest.fixture(scope="session")
def helps() -> dict[str, str]:
    return {name: program(name, "--help") for name in PROGRAMS}


@pytest.fixture(scope="session")
def flags(helps: dict[str, str]) -> dict[str, set[str]]:
    """The flags of each program: what its table of options begins lines with."""
    return {
        name: set(re.findall(r"^  (?:-\w, )?(--[a-z0-9-]+)", said.split("Options:")[1], re.MULTILINE))
        for name, said in helps.items()
    }


@pytest.fixture(scope="session")
def commands(helps: dict[str, str]) -> set[str]:
    table = helps["fairlead"].split("Commands:")[1].split("Exit status")[0]
    return {m.group(1) for m in re.finditer(r"^  ([a-z0-9]+(?: (?:check|convert|schema))?)", table, re.MULTILINE)}


@pytest.fixture(scope="session")
def sources() -> str:
    """All that programs, chart and images are made of, in one text."""
    files = (f for room in ("src", "include", "charts", "images") for f in (SOURCE / room).rglob("*") if f.is_file())
    return "\n".join(f.read_text(encoding="utf-8") for f in sorted(files))


def named(words: list[str]) -> Iterator[str]:
    """Command lines of ours among lines of a shell: pipes are taken apart, comments and prompts left out."""
    for line in words:
        for part in re.split(r" \| | \|$|&&", re.sub(r"^\$ ", "", line)):
            part = re.sub(r"(^|\s)#.*", "", part).strip()
            if re.match(r"(kubectl )?fairlead(-controller|-speaker)?( |$)", part):
                yield part.removeprefix("kubectl ")


@pytest.mark.parametrize("page", PAGES)
def test_commands(page: str, commands: set[str], flags: dict[str, set[str]]) -> None:
    lines = [line for language, body in blocks(page) if language in COMMANDS for line in body.splitlines()]
    for line in [*named(lines), *named(spans(page))]:
        words = shlex.split(re.sub(r"[<>].*", "", line).replace("[", "").replace("]", ""))
        name, rest = words[0], [w for w in words[1:] if not w.startswith("-")]
        unknown = flags_in(line) - flags[name]
        assert not unknown, f"{page}: {line}: {unknown}"
        if name == "fairlead" and rest and rest[0].islower():
            given = [" ".join(rest[:2]), rest[0]]
            assert any(c in commands for c in given), f"{page}: {line}: there is no command {rest[0]}"


@pytest.mark.parametrize("page", PAGES)
def test_flags(page: str, flags: dict[str, set[str]]) -> None:
    known = set().union(*flags.values()) | set(OTHERS_FLAGS) | configure_flags()
    for script in SCRIPTS:
        known |= flags_in(text(script))
    for span in spans(page):
        if span.startswith("--"):
            unknown = flags_in(span) - known
            assert not unknown, f"{page}: `{span}`: {unknown}"


def configure_flags() -> set[str]:
    """Those that configure.ac adds."""
    return {f"--enable-{name}" for name in re.findall(r"AC_ARG_ENABLE\(\[([a-z]+)\]", text("configure.ac"))}


@pytest.mark.parametrize("page", PAGES)
def test_scripts_take_their_flags(page: str) -> None:
    lines = [line for language, body in blocks(page) if language in COMMANDS for line in body.splitlines()]
    for line in [*lines, *spans(page)]:
        script = line.strip().split(" ")[0]
        if script in SCRIPTS:
            unknown = flags_in(line) - flags_in(text(script))
            assert not unknown, f"{page}: {line}: {unknown}"


def table(page: str, first: str) -> list[list[str]]:
    """The rows of the table whose first column has this title."""
    rows: list[list[str]] = []
    for line in text(page).split(f"\n| {first} |", 1)[1].splitlines()[2:]:
        if not line.startswith("|"):
            break
        rows.append([cell.strip() for cell in re.split(r"(?<!\\)\|", line)[1:-1]])
    return rows


def test_the_page_lists_each_flag_with_its_programs(flags: dict[str, set[str]]) -> None:
    whose = {
        "all": set(PROGRAMS),
        "daemons": DAEMONS,
        "controller": {"fairlead-controller"},
        "speaker": {"fairlead-speaker"},
        "fairlead": {"fairlead"},
    }
    said: dict[str, set[str]] = {}
    for row in table(FLAGS, "flag"):
        for flag in flags_in(row[0]):
            said.setdefault(flag, set()).update(whose[row[1]])
        if "-o " in row[0]:
            said["--output"] = {"fairlead"}
    theirs: dict[str, set[str]] = {}
    for name, some in flags.items():
        for flag in some - {"--help", "--version"}:
            theirs.setdefault(flag, set()).add(name)
    # `explain` has a --node of its own, and some of the speakers'.
    of_both = {"--node", "--detect-local-mode", "--cluster-cidr", "--pod-bridge-interface"}
    of_both |= {"--pod-interface-name-prefix", "--nodeport-addresses", "--localhost-nodeports", "--masquerade-all"}
    of_both |= {"--clamp-mss"}
    for flag in of_both:
        theirs[flag].discard("fairlead")
    assert said == theirs


def test_the_page_has_the_defaults_of_the_programs(helps: dict[str, str]) -> None:
    def default(name: str, flag: str) -> str:
        entry = re.search(rf"^  (?:-\w, )?{flag} .*?(?=^  -|^$)", helps[name], re.MULTILINE | re.DOTALL)
        assert entry, flag
        found = re.search(r"\(default ([^)]*)\)", " ".join(entry.group(0).split()))
        return found.group(1) if found else ""

    whose = {"controller": "fairlead-controller", "speaker": "fairlead-speaker", "fairlead": "fairlead"}
    for row in table(FLAGS, "flag"):
        names = sorted(flags_in(row[0]))
        if row[1] in whose and len(names) == 1:
            wanted = default(whose[row[1]], names[0])
            assert wanted in row[2], f"{row[0]}: the default is {wanted}, {FLAGS} says {row[2]}"
    http = [default(name, "--http") for name in sorted(DAEMONS)]
    (row,) = [r for r in table(FLAGS, "flag") if "--http ADDRESS" in r[0]]
    assert row[2] == ", ".join(f"`{h}`" for h in http)
    ports = [h.split(":")[1] for h in http]
    assert [r[0] for r in table(FLAGS, "port")][:2] == [f"{p}/tcp" for p in ports]
    values = yaml.safe_load(text("charts/fairlead/values.yaml"))
    assert [str(values[d]["http"]["port"]) for d in ("controller", "speaker")] == ports


def anchors(page: Path) -> set[str]:
    titles = re.findall(r"^#+ (.*)", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w -]", "", t.lower()).replace(" ", "-") for t in titles}


@pytest.mark.parametrize("page", PAGES)
def test_links(page: str) -> None:
    for target in re.findall(r"\]\(([^)]+)\)", text(page)):
        if re.match(r"https?:", target):
            continue
        path, _, anchor = target.partition("#")
        there = ((SOURCE / page).parent / path).resolve() if path else SOURCE / page
        assert there.exists(), f"{page}: {target}"
        assert not anchor or anchor in anchors(there), f"{page}: {target}: {sorted(anchors(there))}"


@pytest.mark.parametrize("page", PAGES)
def test_paths(page: str) -> None:
    words = [w for span in spans(page) for w in span.split()]
    words += [w for language, body in blocks(page) for w in body.split() if language not in ("yaml", "python")]
    for word in words:
        word = re.sub(r"^\.\.?/|[,;:)]+$", "", word)
        if not re.match(rf"(?:{'|'.join(ROOMS)})/[\w./*-]*$", word):
            continue
        # A test program is named without its suffix.
        assert any(SOURCE.glob(word)) or (SOURCE / f"{word}.c").exists(), f"{page}: there is no {word}"


def value_of(values: dict[str, Any], path: str) -> Any:
    for key in path.split("."):
        if not isinstance(values, dict) or key not in values:
            return None
        values = values[key]
    return True


@pytest.mark.parametrize("page", PAGES)
def test_chart_values(page: str) -> None:
    values = yaml.safe_load(text("charts/fairlead/values.yaml"))
    settings = [s for _, body in blocks(page) for s in re.findall(r"--set (\S+)", body)]
    for span in [*spans(page), *settings]:
        span = re.sub(r"^helm upgrade .* --set ", "", span)
        path = re.split(r"[=:]", span)[0]
        if not re.fullmatch(r"[a-zA-Z]+(\.[a-zA-Z]+)+", path) or path.split(".")[0] not in values:
            continue
        if path.endswith((".yaml", ".yml", ".md", ".h")):
            continue
        assert value_of(values, path), f"{page}: the chart has no value {path}"


@pytest.mark.parametrize("page", PAGES)
def test_metrics_that_are_named_exist(page: str) -> None:
    rows = text("include/fairlead/metrics.def")
    real = set(re.findall(r"^[A-Z0-9_]+\(.*?\b((?:fairlead|process)_[a-z0-9_]+),", rows, re.MULTILINE))
    for span in spans(page):
        for name in re.findall(r"\bfairlead_[a-z0-9_]+", span):
            assert name in real or (name.endswith("_") and any(r.startswith(name) for r in real)), f"{page}: {span}"


@pytest.mark.parametrize("page", PAGES)
def test_annotations(page: str, sources: str) -> None:
    for span in spans(page):
        for name in re.findall(r"\bfairlead\.io/([\w-]+)", span):
            assert f'/{name}"' in sources or f"fairlead.io/{name}" in sources, f"{page}: {span}"


# Names in the style of reasons that are not: Kubernetes' own, MetalLB's, the kernel's, the tests'.
KINDS = """
    AddressPool BFDProfile BGPAdvertisement BGPPeer IPAddressPool IfNotPresent L2Advertisement
    RequireDualStack ResourceQuota
""".split()


@pytest.mark.parametrize("page", PAGES)
def test_reasons(page: str, sources: str) -> None:
    reasons = set(re.findall(r"^REASON\((\w+),", text("include/fairlead/reasons.def"), re.MULTILINE))
    events = set(re.findall(r'"([A-Z][a-z]+[A-Z][A-Za-z]+)"', sources))
    for span in spans(page):
        if re.fullmatch(r"(?:[A-Z][a-z]+){2,}", span) and span not in KINDS:
            assert span in reasons | events, f"{page}: there is no reason {span}"


def test_migration_prints_what_is_printed() -> None:
    (shown,) = [c.shown for c in commands_of("docs/migration.md") if c.shown]
    resources = (EXAMPLE / "custom-resources.yaml").read_text(encoding="utf-8")
    converted = program("fairlead", "config", "convert", "-", stdin=resources)
    for config in (converted, (EXAMPLE / "config.yaml").read_text(encoding="utf-8")):
        planned = program("fairlead", "plan", "--config", "-", "--state", str(EXAMPLE / "services.yaml"), stdin=config)
        assert [line.rstrip() for line in planned.splitlines()] == list(shown)


@pytest.mark.parametrize("page", PAGES)
def test_configurations_are_valid(page: str, tmp_path: Path) -> None:
    for language, body in blocks(page):
        if language != "yaml":
            continue
        document = yaml.safe_load(body)
        if isinstance(document.get("config"), dict):
            document = document["config"]
        (tmp_path / "config.yaml").write_text(yaml.safe_dump(document), encoding="utf-8")
        said = program("fairlead", "config", "check", str(tmp_path / "config.yaml"), status=None)
        assert said.splitlines()[-1:] and "valid:" in said.splitlines()[-1], f"{page}: {said}\n{body}"


def test_the_man_page_names_all_changes_of_a_plan() -> None:
    names = re.findall(r'return "([a-z]+)";', text("src/cli/plan_print.c"))
    names += re.findall(r'\[IPAM_[A-Z]+\] = "([a-z]+)"', text("src/ipam/decide.c"))
    (said,) = re.findall(r"The changes are\n(.*?)\.\nExternal", text("man/fairlead.1"), re.DOTALL)
    missing = {n for n in names if not re.search(rf"\b{n}\b", said)}
    assert {"keep", "retain", "renumber"} <= set(names) and not missing


def test_the_man_page_has_all_keys_of_the_json() -> None:
    (said,) = re.findall(r"^\.SH OUTPUT\n(.*?)^\.SH ", text("man/fairlead.1"), re.MULTILINE | re.DOTALL)
    printers = "model_print model_derive model_l2 model_bgp explain_print follow_print plan_print"
    printers += " command_proxy command_proxy_diff command_convert command_uninstall check"
    printed = "".join(text(f"src/cli/{name}.c") for name in printers.split())
    # What the one that writes the mark sends to the API server is no output.
    keys = re.findall(r'\\"(\w+)\\":|(?:out_(?!cell\b)[a-z]+|put_words)\(o, "(\w+)"', printed.replace("\\n", ""))
    names = {a or b for a, b in keys} - {"apiVersion", "metadata", "annotations"}
    assert len(names) > 40 and not {n for n in names if f'"{n}"' not in said}


def test_examples_that_are_configurations_are_valid() -> None:
    for name in ("fairlead.yaml", "bgp/fairlead.yaml", "metallb/config.yaml"):
        program("fairlead", "config", "check", str(SOURCE / "examples" / name))


def test_the_example_has_the_external_dns_that_is_tested() -> None:
    built = text("tests/kube/external-dns/go.mod")
    (version,) = re.findall(r"\bsigs\.k8s\.io/external-dns (v[0-9.]+)$", built, re.MULTILINE)
    assert f"external-dns/external-dns:{version}\n" in text("examples/external-dns/external-dns.yaml")


def test_the_version_is_one() -> None:
    (version,) = re.findall(r"AC_INIT\(\[[^]]*\], \[([0-9.]+)\]", text("configure.ac"))
    assert f"fairlead:{version}, fairlead-frr:{version}" in text("README.md")
    assert program("fairlead", "--version").split() == ["fairlead", version]


# What a page says, and the constant behind it: "{}" in the phrase is the number.
NUMBERS = (
    ("docs/layer2.md", "{} other speakers on a segment", "include/fairlead/member.h", "MEMBER_PEERS_MAX"),
    ("docs/layer2.md", "{} claims of one peer", "include/fairlead/claims.h", "CLAIMS_PER_PEER_MAX"),
    ("docs/layer2.md", "{} addresses on a segment", "include/fairlead/claims.h", "CLAIMS_ENTRIES_MAX"),
    ("docs/layer2.md", "stale for {} s", "src/claims/private.h", "CLAIMS_STALE_MS"),
    ("docs/layer2.md", "fresh for {} s", "src/claims/private.h", "CLAIMS_FRESH_MS"),
    ("docs/layer2.md", "answered within the last {} s", "src/speaker/pulse.c", "LOST_MS"),
    ("docs/layer2.md", "brought something within the last {} s", "src/speaker/pulse.c", "WATCH_SILENCE_MS"),
    ("docs/design.md", "fresh for {} seconds", "src/claims/private.h", "CLAIMS_FRESH_MS"),
    ("docs/layer2.md", "{} interfaces with segments", "src/l2/attach.h", "ATTACH_SEGMENTS_MAX"),
    ("docs/layer2.md", "{} interfaces with addresses", "src/l2/ifaces.h", "IFACES_MAX"),
    ("docs/layer2.md", "{} subnets of one", "src/l2/ifaces.h", "IFACE_SUBNETS_MAX"),
    ("docs/layer2.md", "{} addresses of the node", "src/l2/ifaces.h", "IFACES_LOCALS_MAX"),
    ("docs/layer2.md", "larger than {} bytes", "include/fairlead/wire.h", "WIRE_DATAGRAM_MAX"),
    ("docs/layer2.md", "in place of {}.", "include/fairlead/wire.h", "WIRE_CLAIM_FIT"),
    ("docs/layer2.md", "{} places for each name", "include/fairlead/strangers.h", "STRANGERS_PER_NAME"),
    ("docs/layer2.md", "{} for all names", "include/fairlead/strangers.h", "STRANGERS_UNKNOWN_MAX"),
    ("docs/reasons.md", "{} others can be known", "include/fairlead/member.h", "MEMBER_PEERS_MAX"),
    ("docs/reasons.md", "one may take {} rules", "include/fairlead/size.h", "SIZE_RULES_MAX"),
    ("docs/reasons.md", "together {} elements", "include/fairlead/size.h", "SIZE_ALL_ELEMENTS_MAX"),
    ("docs/metrics.md", "queue full ({})", "include/fairlead/kube.h", "KUBE_EVENTS_QUEUED"),
    ("docs/bgp.md", "protocol number {}", "src/speaker/sinks.c", "RULE_PROTOCOL"),
    ("docs/bgp.md", "{}: from all to 198.51.100.0/24 iif lo", "src/speaker/sinks.c", "PRIORITY_FIRST"),
    ("docs/bgp.md", "set tag {}", "src/bgp/model.h", "BGP_TAG"),
    ("docs/running.md", "{}/udp", "include/fairlead/wire.h", "WIRE_PORT"),
    ("docs/running.md", "{}/udp", "include/fairlead/wire.h", "WIRE_PORT_V1"),
    ("docs/layer2.md", "goes to {}/udp", "include/fairlead/wire.h", "WIRE_PORT_V1"),
    ("docs/layer2.md", "datagram of at most 1400 bytes to {}/udp", "include/fairlead/wire.h", "WIRE_PORT"),
    ("docs/running.md", "{} to 4096 bytes", "src/speaker/options.h", "SPEAKER_KEY_MIN_BYTES"),
    ("docs/running.md", "16 to {} bytes", "src/speaker/options.h", "SPEAKER_KEY_MAX_BYTES"),
    ("docs/migration.md", "{}/udp of a multicast group", "include/fairlead/wire.h", "WIRE_PORT"),
)


@pytest.mark.parametrize("page,phrase,header,macro", NUMBERS)
def test_numbers(page: str, phrase: str, header: str, macro: str) -> None:
    found = re.search(rf"#define {macro}\s+(\([^)]*\)|\S+)", text(header))
    assert found, f"{header} defines no {macro}"
    value = number(found.group(1)) // (1000 if macro.endswith("_MS") else 1)  # pages tell seconds
    words = re.sub(r"(?<=\d) (?=\d{3}\b)", "", " ".join(text(page).split()))
    assert phrase.format(value) in words, f"{page} does not say {phrase.format(value)!r}"


def test_the_packages_of_a_build_are_the_same_everywhere() -> None:
    """README.md lists what configure asks for; tests/install and the image's Dockerfile install it."""
    checks = re.findall(r"^(?:FL_LIBRARY|AC_CHECK_HEADER)\(.*", text("configure.ac"), re.MULTILINE)
    asked = {package for check in checks for package in re.findall(r"[a-z0-9-]+", check.rsplit("[", 1)[1])}
    assert {"libnl-genl-3-dev", "uthash-dev"} <= asked
    (listed,) = re.findall(r"a build needs(.*?)\. `tests/install`", text("README.md"), re.DOTALL)
    tools = {"build-essential", "autoconf", "automake", "pkg-config"}
    assert set(re.findall(r"`([^`]+)`", listed)) == asked | tools
    for page in ("tests/install", "Dockerfile"):
        assert asked | tools <= set(text(page).split()), page


def test_every_difference_from_kube_proxy_is_documented() -> None:
    """And says who departs, as what the table of packets lets pass."""
    section = text("docs/dataplane.md").split("\n## Differences from kube-proxy\n")[1].split("\n## ")[0]
    lines = [line for line in section.splitlines() if line.startswith("|")]
    head, _, *rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in lines]
    documented = {}
    for row in rows:
        cells = dict(zip(head, row, strict=True))
        assert cells["why"], f"{row[0]}: no reason"
        sides = set(cells) - {"difference", "why"}
        documented[row[0].strip("`")] = {s for s in sides if not cells[s].startswith("as specified")}
    assert set(head) == {"difference", "why", *SIDES.values()}
    assert documented == {d.name: {SIDES.get(by, by) for by in d.fates} for d in DIFFERENCES}
