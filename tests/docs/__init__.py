# SPDX-License-Identifier: Apache-2.0
"""What the documents say, compared with what is there."""
