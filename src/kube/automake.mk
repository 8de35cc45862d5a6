# SPDX-License-Identifier: Apache-2.0
noinst_HEADERS += \
	include/fairlead/kube.h \
	include/fairlead/kube_types.h \
	include/fairlead/lease.h
