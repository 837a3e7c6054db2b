/* fingerprint.h - the SQL that says what the rows of a mailbox hold, in a few bytes. Pure text.
 *
 * The fingerprint of a row is the SHA-1 of a text from which every column that travels can be read
 * back: first each number, date and length, NULL as '-', with commas; then the bytes one after the
 * other. A locator counts as what it becomes at the target. Two sides answer the same if, and only
 * if, the row is as it should be. */
#ifndef ZX_MOVE_FINGERPRINT_H
#define ZX_MOVE_FINGERPRINT_H

#include "core/move/catalogue.h"

/* 128 of the 160 bits as two numbers: CRC32 makes one of ten hexadecimal digits, in a fraction of the
 * time CONV needs. SHA1 itself is the fastest that every server has; MD5 takes four times as long. */
#define FINGERPRINT_HIGH(h) "CRC32(LEFT(" h ",10))<<32|CRC32(MID(" h ",11,10))"
#define FINGERPRINT_LOW(h)  "CRC32(MID(" h ",21,10))<<32|CRC32(RIGHT(" h ",10))"

/* One side of a table: which rows, and what a locator has to become. */
typedef struct Selection {
    const Table *table;
    Side side;
    uint32_t mailbox;
    unsigned volume; /* at the target */
} Selection;

Selection selection(const Table *table, Side side, const RowsMap *map);

/* A SELECT of lines (@tag, bucket, rows, rows with a fingerprint, two sums over the fingerprints),
 * one a bucket, of rows for which @where holds. Sums, not XOR: of two equal rows each counts. */
void bucket_lines_append(GString *sql, const Selection *rows, unsigned tag, const char *where);

/* A SELECT of (key columns.., fingerprint), one a row; of a multiset (fingerprint, how many). */
void row_lines_append(GString *sql, const Selection *rows, const char *where);

/* A SELECT of (key columns.., every column by itself), one a row, to see which differ: a locator as
 * what it has to become, of bytes their MD5. */
void column_lines_append(GString *sql, const Selection *rows, const char *where);

/* The columns of a SELECT that reads rows to be written at the target, in the order of
 * Table.columns. */
void row_columns_append(GString *sql, const Table *table, unsigned volume);

/* True for rows that lie in one of @count ascending buckets. */
void bucket_condition_append(GString *sql, const Table *table, const int64_t *buckets,
                             size_t count);

/* The key in @line of an answer to row_lines_append as an SQL literal: the same text for the same
 * key. */
char *key_literal(const Table *table, const Rows *lines, unsigned line);

/* What such literals are compared with: "<this> IN (literal, ..)". */
void key_columns_append(GString *sql, const Selection *rows);

#endif
