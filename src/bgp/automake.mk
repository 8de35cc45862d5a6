# SPDX-License-Identifier: Apache-2.0
libfairlead_a_SOURCES += \
	src/bgp/attr.c \
	src/bgp/bfd.c \
	src/bgp/cleanup.c \
	src/bgp/client.c \
	src/bgp/diff.c \
	src/bgp/engine.c \
	src/bgp/model.c \
	src/bgp/poll.c \
	src/bgp/running.c \
	src/bgp/session.c \
	src/bgp/status.c \
	src/bgp/vty.c \
	src/bgp/want.c
noinst_HEADERS += \
	include/fairlead/bgp.h \
	src/bgp/bfd.h \
	src/bgp/client.h \
	src/bgp/diff.h \
	src/bgp/engine.h \
	src/bgp/model.h \
	src/bgp/running.h \
	src/bgp/session.h \
	src/bgp/vty.h \
	src/bgp/want.h
