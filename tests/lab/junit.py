# SPDX-License-Identifier: Apache-2.0
"""Prints what pytest's junit report says, one line a test: verdict, name, reason, separated by tabs.

Of a test that a second report has, too, the second verdict counts; where that is a pass, it is `again`.
"""

import sys
import xml.etree.ElementTree as xml


def verdicts(path: str) -> dict[str, tuple[str, str]]:
    """Verdict and reason of each test in a report."""
    found = {}
    for case in xml.parse(path).iter("testcase"):
        module = case.get("classname", "").split(".")[-1]
        name = f"{module}/{case.get('name')}"
        outcomes = [child for child in case if child.tag in ("failure", "error", "skipped")]
        if outcomes:
            verdict = "skip" if outcomes[0].tag == "skipped" else "FAIL"
            found[name] = (verdict, " ".join((outcomes[0].get("message") or "").split()))
        else:
            found.setdefault(name, ("pass", ""))
    return found


def main(path: str, prefix: str, second: str = "") -> int:
    try:
        first = verdicts(path)
    except (OSError, xml.ParseError):
        return 1
    try:
        tried_again = verdicts(second)
    except (OSError, xml.ParseError):
        tried_again = {}
    for name, (verdict, why) in first.items():
        if verdict == "FAIL" and name in tried_again:
            verdict, why = tried_again[name]
            verdict = "again" if verdict == "pass" else verdict
        print(f"{verdict}\t{prefix}/{name}\t{why}")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
