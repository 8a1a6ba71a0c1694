/*
 * canon.h: writing the canonical text. One flow mapping, every entry followed by a comma, every
 * text in double quotes and ASCII. key NULL: an entry of a list.
 */
#ifndef SPATE_CONFIG_CANON_H
#define SPATE_CONFIG_CANON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

/* Valid UTF-8 without control characters: what spate_canon_text can write. */
bool spate_canon_ok(const char *text);
void spate_canon_text(FILE *out, const char *key, const char *text, size_t len);
void spate_canon_number(FILE *out, const char *key, uint64_t n);
void spate_canon_bytes(FILE *out, const char *key, const uint8_t *bytes, size_t len);

#endif
