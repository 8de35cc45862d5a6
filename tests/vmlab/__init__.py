# SPDX-License-Identifier: Apache-2.0
"""A virtual machine with a kernel of Debian's, for what the kernel at hand lacks: what tests/vm runs.

	machine.py   boots the machine around one command
	emulated.py  the machine is qemu
	kernel.py    Debian's kernel for it, unpacked, and the initramfs made of it
	init         its first program, in the initramfs
	usermode.py  the machine is a kernel in user space
	build-uml    makes that kernel, with uml.config and uml-xstate.patch
	init-uml     its first program
	start        what either becomes
"""
