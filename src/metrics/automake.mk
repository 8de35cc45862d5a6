# SPDX-License-Identifier: Apache-2.0
noinst_HEADERS += \
	include/fairlead/metrics.h
