/* SPDX-License-Identifier: Apache-2.0 */
#ifndef FAIRLEAD_FIELDS_H
#define FAIRLEAD_FIELDS_H

/*
 * Structs whose fields are rows, so that what is done with all of them forgets none: a new row is
 * declared, compared and digested at once.
 *
 *	#define PORT_FIELDS(X)         \
 *		X(NAME, name)          \
 *		X(VALUE, uint8_t, proto)
 *	struct port { PORT_FIELDS(FIELD_DECLARE) PORT_FIELDS(FIELD_DECLARE_N) };
 *
 * The kinds, of which @tag is a struct's:
 *
 *	VALUE(type, name)        a number, an enum or a bool
 *	FLAG(name)               a bool in one bit
 *	NAME(name)               a string of which equal ones are one pointer
 *	SAME(tag, name)          const struct tag *name, of which equal ones are one pointer
 *	TEXT(name)               another string, never NULL
 *	BYTES(name, size)        uint8_t name[size]
 *	OPTION(name)             another string; NULL: there is none
 *	STRUCT(tag, name)
 *	PART(tag, name)          const struct tag *name, NULL being the same as all zero
 *	LIST(tag, name)          const struct tag *name, and n_name
 *	ARRAY(tag, name, max)    struct tag name[max], of which n_name count
 *
 * FIELD_DECLARE_N declares the numbers of lists and arrays, all in one place: beside each pointer
 * they would take twice as much memory.
 *
 * FIELD_EQ needs tag_eq() for the tags of its rows, FIELD_ADD tag_add(), both with constant
 * pointers.
 */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* clang-format off */

#define FIELD_DECLARE(kind, ...) FIELD_DECLARE_##kind(__VA_ARGS__)
#define FIELD_DECLARE_VALUE(type, name) type name;
#define FIELD_DECLARE_FLAG(name) bool name : 1;
#define FIELD_DECLARE_NAME(name) const char *name;
#define FIELD_DECLARE_SAME(tag, name) const struct tag *name;
#define FIELD_DECLARE_TEXT(name) const char *name;
#define FIELD_DECLARE_BYTES(name, size) uint8_t name[size];
#define FIELD_DECLARE_OPTION(name) const char *name;
#define FIELD_DECLARE_STRUCT(tag, name) struct tag name;
#define FIELD_DECLARE_PART(tag, name) const struct tag *name;
#define FIELD_DECLARE_LIST(tag, name) const struct tag *name;
#define FIELD_DECLARE_ARRAY(tag, name, max) struct tag name[max];

#define FIELD_DECLARE_N(kind, ...) FIELD_DECLARE_N_##kind(__VA_ARGS__)
#define FIELD_DECLARE_N_VALUE(type, name)
#define FIELD_DECLARE_N_FLAG(name)
#define FIELD_DECLARE_N_NAME(name)
#define FIELD_DECLARE_N_SAME(tag, name)
#define FIELD_DECLARE_N_TEXT(name)
#define FIELD_DECLARE_N_BYTES(name, size)
#define FIELD_DECLARE_N_OPTION(name)
#define FIELD_DECLARE_N_STRUCT(tag, name)
#define FIELD_DECLARE_N_PART(tag, name)
#define FIELD_DECLARE_N_LIST(tag, name) uint32_t n_##name;
#define FIELD_DECLARE_N_ARRAY(tag, name, max) uint32_t n_##name;

/* As "return true FIELDS(FIELD_EQ);" of the structs at @a and @b. */
#define FIELD_EQ(kind, ...) && FIELD_EQ_##kind(__VA_ARGS__)
#define FIELD_EQ_VALUE(type, name) a->name == b->name
#define FIELD_EQ_FLAG(name) a->name == b->name
#define FIELD_EQ_NAME(name) a->name == b->name
#define FIELD_EQ_SAME(tag, name) a->name == b->name
#define FIELD_EQ_TEXT(name) !strcmp(a->name, b->name)
#define FIELD_EQ_BYTES(name, size) !memcmp(a->name, b->name, size)
#define FIELD_EQ_OPTION(name) \
	(a->name && b->name ? !strcmp(a->name, b->name) : a->name == b->name)
#define FIELD_EQ_STRUCT(tag, name) tag##_eq(&a->name, &b->name)
#define FIELD_EQ_LIST(tag, name) ({                                                     \
	bool same_ = a->n_##name == b->n_##name;                                        \
	for (size_t i_ = 0; same_ && i_ < a->n_##name; i_++)                            \
		same_ = tag##_eq(&a->name[i_], &b->name[i_]);                           \
	same_;                                                                          \
})
#define FIELD_EQ_ARRAY(tag, name, max) FIELD_EQ_LIST(tag, name)

/*
 * Statements that append the struct at @s to the struct buf at @b: equal structs give equal bytes,
 * on this machine.
 */
#define FIELD_ADD(kind, ...) FIELD_ADD_##kind(__VA_ARGS__)
#define FIELD_ADD_VALUE(type, name) buf_add(b, &s->name, sizeof(s->name));
#define FIELD_ADD_TEXT(name) buf_add(b, s->name, strlen(s->name) + 1);
#define FIELD_ADD_OPTION(name) \
	buf_add(b, s->name ? s->name : "", s->name ? strlen(s->name) + 1 : 1);
#define FIELD_ADD_STRUCT(tag, name) tag##_add(b, &s->name);
#define FIELD_ADD_PART(tag, name) tag##_add(b, s->name ? s->name : &(const struct tag){ 0 });
#define FIELD_ADD_LIST(tag, name)                                                       \
	buf_add(b, &s->n_##name, sizeof(s->n_##name));                                  \
	for (size_t i_ = 0; i_ < s->n_##name; i_++)                                     \
		tag##_add(b, &s->name[i_]);

/* clang-format on */

#endif
