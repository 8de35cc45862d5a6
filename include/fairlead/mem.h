/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_MEM_H
#define FAIRLEAD_MEM_H

/*
 * Allocation that never fails, and ownership by scope.
 *
 * Running out of memory ends the process: no caller could do better.  Sizes that come from outside
 * are bounded before they reach these functions.
 */

#include <stddef.h>
#include <stdlib.h>

void *xmalloc(size_t size) __attribute__((malloc, returns_nonnull));
void *xcalloc(size_t n, size_t size) __attribute__((malloc, returns_nonnull));
void *xrealloc(void *p, size_t size) __attribute__((returns_nonnull));
/* Like xrealloc for an array of @n elements of @size bytes; the product is checked. */
void *xreallocarray(void *p, size_t n, size_t size) __attribute__((returns_nonnull));
char *xstrdup(const char *s) __attribute__((malloc, nonnull, returns_nonnull));
char *xstrndup(const char *s, size_t max_len) __attribute__((malloc, nonnull, returns_nonnull));
/* A copy of @s, or NULL for NULL. */
char *xstrdup_null(const char *s);
char *xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2), returns_nonnull));
void *xmemdup(const void *p, size_t size) __attribute__((returns_nonnull));

/*
 * Grows the array at *@array (elements of @size bytes, @cap of them allocated) so that @want fit;
 * what is allocated doubles, so a loop of appends is linear.  Use through ARRAY_RESERVE.
 */
void mem_reserve(void **array, size_t *cap, size_t want, size_t size);
#define ARRAY_RESERVE(array, cap, want) \
	mem_reserve((void **)&(array), &(cap), (want), sizeof(*(array)))

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* Frees the variable's memory at the end of its scope: `cleanup_free char *s = xstrdup(…);` */
void mem_cleanup_free(void *p);
#define cleanup_free __attribute__((__cleanup__(mem_cleanup_free)))
/* Any other destructor: `cleanup(buf_fini) struct buf b = BUF_INIT;` */
#define cleanup(fn) __attribute__((__cleanup__(fn)))

/* Moves ownership out of @var: yields its value and leaves NULL behind. */
#define TAKE(var)                               \
	({                                      \
		__typeof__(var) taken_ = (var); \
		(var) = NULL;                   \
		taken_;                         \
	})

#endif
