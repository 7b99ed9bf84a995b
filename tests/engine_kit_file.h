/* SPDX-License-Identifier: MIT */
/* Files of the ring made of memory: what there is below any folder, when operations on it complete,
 * and how. The ring ends the program when a descriptor is closed twice, used after that, left open,
 * or closed with an operation in flight, and when memory of a read is touched before it has
 * completed. */
#ifndef TESTS_ENGINE_KIT_FILE_H
#define TESTS_ENGINE_KIT_FILE_H

#include "tests/engine_kit.h"

#define KIT_FILE_MODIFIED 784111000 /* "Sun, 06 Nov 1994 08:36:40 GMT" */

/* Make or replace a file; the bytes are borrowed. Who has it open sees the new ones. */
void kit_file(struct kit *kit, const char *path, const void *bytes, size_t size);
void kit_file_folder(struct kit *kit, const char *path);
void kit_file_special(struct kit *kit, const char *path); /* a fifo */
/* From when it is, with so many nanoseconds. */
void kit_file_time(struct kit *kit, const char *path, int64_t seconds, uint32_t ns);
/* Opening this path fails; 0: no more. It need not be there. */
void kit_file_refuse(struct kit *kit, const char *path, int err);
/* The next operation that completes fails. */
void kit_file_fail(struct kit *kit, int err);
/* A read brings at most so many bytes. */
void kit_file_read_max(struct kit *kit, size_t size);
/* Operations do not complete before this is set to false again. */
void kit_file_hold(struct kit *kit, bool hold);
/* While they are held: let one of them complete. */
void kit_file_step(struct kit *kit);
/* One that is cancelled completes with -ECANCELED instead of what it has reached. */
void kit_file_obey(struct kit *kit, bool obey);

unsigned kit_file_ops(struct kit *kit);     /* in flight */
unsigned kit_file_opens(struct kit *kit);   /* started so far */
unsigned kit_file_reads(struct kit *kit);   /* started so far */
unsigned kit_file_cancels(struct kit *kit); /* asked for so far */
unsigned kit_file_count(struct kit *kit);   /* descriptors open now */

#endif
