# SPDX-License-Identifier: Apache-2.0
libfairlead_a_SOURCES +=
