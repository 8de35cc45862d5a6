# SPDX-License-Identifier: Apache-2.0
"""The configuration in the schema of the chart's values, out of `fairlead config schema`: one line, which nobody edits.

`python3 -m lab.chart_schema` writes it, and tests/docs/test_schema.py compares.
"""

import json
import os
import re
import subprocess
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[2]
BUILD = Path(os.environ.get("FAIRLEAD_BUILD", SOURCE / "build"))
SCHEMA = SOURCE / "charts/fairlead/values.schema.json"
_LINE = re.compile(r'^    "configuration": .*$', re.MULTILINE)


def whole() -> str:
    """The file as it should be."""
    said = subprocess.run([BUILD / "src/cli/fairlead", "config", "schema"], check=True, capture_output=True, text=True)
    schema = json.loads(said.stdout)
    del schema["$schema"]
    line = f'    "configuration": {json.dumps(schema, ensure_ascii=False)},'
    text, n = _LINE.subn(lambda _: line, SCHEMA.read_text(encoding="utf-8"))
    if n != 1:
        raise ValueError(f"{SCHEMA}: {n} lines for the configuration, and one is wanted")
    return text


if __name__ == "__main__":
    SCHEMA.write_text(whole(), encoding="utf-8")
