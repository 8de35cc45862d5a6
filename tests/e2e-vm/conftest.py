# SPDX-License-Identifier: Apache-2.0
"""What is tried of the virtual machine itself (tests/vm), from outside; what runs in it is tests/run's suite vm."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))  # for `pytest tests/e2e-vm` by hand
