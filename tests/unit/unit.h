/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_TESTS_UNIT_H
#define FAIRLEAD_TESTS_UNIT_H

/* What every unit test includes: cmocka with the headers that it needs before it. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#endif
