# SPDX-License-Identifier: Apache-2.0
"""A virtual machine with Debian's kernel, for what the kernel at hand lacks: what tests/vm runs.

	kernel.py   Debian's kernel, unpacked, and the initramfs made of it
	machine.py  boots the machine around one command
	init        the machine's first program, in the initramfs
	start       what it becomes
"""
