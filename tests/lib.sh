# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
# What tests/demo and tests/run share; sourced from the top of the tree.

# The system's Python: the one that Debian's python3-yaml and python3-pytest belong to.
export PYTHON=/usr/bin/python3
export PYTHONDONTWRITEBYTECODE=1
export PYTHONPATH=$PWD/tests

# build DIR [CONFIGURE ARGUMENT…] [-- MAKE TARGET…]: configures and builds into DIR, a build directory apart from the source;
# without arguments for configure a directory keeps the ones it has.
# Everything that tools say goes to DIR/build.log, whose end is shown if they fail.  Two that build into one directory take turns, and
# so do those that find no configure.
build() {
	local dir=$1 source=$PWD
	shift
	local configure=() targets=(all)
	while [ $# -gt 0 ]; do
		[ "$1" = -- ] && { shift; targets=("$@"); break; }
		configure+=("$1")
		shift
	done
	mkdir -p "$dir"
	if [ -e config.status ] && [ ! "$dir" -ef . ]; then
		echo "the source tree itself is configured: run 'make distclean' in it first" >&2
		return 1
	fi
	{
		flock 9
		flock configure.ac sh -c '[ -x configure ] || ./autogen.sh' || return 1
		if [ ! -f "$dir/Makefile" ] ||
			{ [ ${#configure[@]} -gt 0 ] && [ "$(cat "$dir/.configured")" != "${configure[*]}" ]; }; then
			(cd "$dir" && "$source/configure" "${configure[@]}") || return 1
			echo "${configure[*]}" >"$dir/.configured"
		fi
		make -C "$dir" -j"$(nproc)" "${targets[@]}"
	} >"$dir/build.log" 2>&1 9>"$dir/.lock" || {
		tail -25 "$dir/build.log" >&2
		echo "building into $dir failed; all of it is in $dir/build.log" >&2
		return 1
	}
}
