# SPDX-License-Identifier: Apache-2.0
# The lab: a Python package (see tests/lab/__init__.py) and the program that its Pods run.
noinst_PROGRAMS += tests/lab/fairlead-echo
tests_lab_fairlead_echo_SOURCES = tests/lab/echo.c
tests_lab_fairlead_echo_LDADD = $(EVENT_LIBS)
EXTRA_DIST += \
	tests/lab/__init__.py tests/lab/__main__.py tests/lab/api.py tests/lab/arp.py tests/lab/capture.py \
	tests/lab/changes.py tests/lab/cluster.py tests/lab/coredns.py tests/lab/coverage.py tests/lab/demo.py \
	tests/lab/doors.py tests/lab/dual.py tests/lab/externaldns.py tests/lab/frr.py tests/lab/habits.py \
	tests/lab/chart_schema.py tests/lab/ipvs.py tests/lab/junit.py tests/lab/kubelet.py tests/lab/kubernetes.py tests/lab/limits.py \
	tests/lab/load.py tests/lab/nameserver.py tests/lab/ndp.py tests/lab/net.py tests/lab/netns.py \
	tests/lab/processes.py tests/lab/proxyctl.py tests/lab/pystyle.py tests/lab/router.py tests/lab/rundir.py tests/lab/virtualservers.py \
	tests/lab/slices.py tests/lab/waiting.py tests/lab/web.py tests/lab/writes.py
