# SPDX-License-Identifier: Apache-2.0
"""Prints what pytest's junit report says, one line a test: verdict, name, reason, separated by tabs."""

import sys
import xml.etree.ElementTree as xml


def main(path: str, prefix: str) -> int:
    try:
        cases = list(xml.parse(path).iter("testcase"))
    except (OSError, xml.ParseError):
        return 1
    for case in cases:
        verdict, why = "pass", ""
        for tag in ("failure", "error", "skipped"):
            found = case.find(tag)
            if found is not None:
                verdict = "skip" if tag == "skipped" else "FAIL"
                why = " ".join((found.get("message") or "").split())
                break
        module = case.get("classname", "").split(".")[-1]
        print(f"{verdict}\t{prefix}/{module}/{case.get('name')}\t{why}")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
