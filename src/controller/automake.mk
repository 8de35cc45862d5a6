# SPDX-License-Identifier: Apache-2.0
libfairlead_a_SOURCES += \
	src/controller/record.c \
	src/controller/record.h

sbin_PROGRAMS += src/controller/fairlead-controller
src_controller_fairlead_controller_SOURCES = \
	src/controller/assign.c \
	src/controller/controller.c \
	src/controller/controller.h \
	src/controller/main.c \
	src/controller/publish.c \
	src/controller/registry.c \
	src/controller/report.c \
	src/controller/writer.c
