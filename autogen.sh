#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# Makes ./configure out of configure.ac.
set -e
cd "$(dirname "$0")"
command -v autoreconf >/dev/null || {
	echo "autogen.sh: autoreconf is missing; on Debian: apt-get install autoconf automake pkg-config" >&2
	exit 1
}
exec autoreconf --install --warnings=all,no-portability
