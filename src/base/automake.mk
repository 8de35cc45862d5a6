# SPDX-License-Identifier: Apache-2.0
libfairlead_a_SOURCES += \
	src/base/addr.c \
	src/base/base64.c \
	src/base/buf.c \
	src/base/clock.c \
	src/base/cursor.c \
	src/base/err.c \
	src/base/hash.c \
	src/base/log.c \
	src/base/mem.c \
	src/base/reason.c \
	src/base/streams.c
noinst_HEADERS += \
	include/fairlead/addr.h \
	include/fairlead/base64.h \
	include/fairlead/buf.h \
	include/fairlead/clock.h \
	include/fairlead/cursor.h \
	include/fairlead/err.h \
	include/fairlead/hash.h \
	include/fairlead/log.h \
	include/fairlead/mem.h \
	include/fairlead/reason.h \
	include/fairlead/streams.h
