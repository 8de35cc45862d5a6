# SPDX-License-Identifier: Apache-2.0
noinst_HEADERS += \
	include/fairlead/l2.h
