# SPDX-License-Identifier: Apache-2.0
libfairlead_a_SOURCES += \
	src/member/member.c \
	src/member/wire.c
noinst_HEADERS += \
	src/member/member.h \
	src/member/wire.h
