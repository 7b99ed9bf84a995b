/* SPDX-License-Identifier: MIT */
/* Folders and files of the machine's own, for the contract of rings that a kernel serves. */
#include "tests/ring_contract_disk.h"

#include <CUnit/CUnit.h>

#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

int disk_folder_open(void *context)
{
    char path[] = "/tmp/gyr-contract-XXXXXX";
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(path));
    int base = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CU_ASSERT_FATAL(base >= 0);
    disk_folder_make(context, base, "files");
    disk_folder_make(context, base, "other");
    disk_file_make(context, base, "secret", "secret", 6);
    int fd = openat(base, "files", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    CU_ASSERT_FATAL(fd >= 0);
    close(base);
    return fd;
}

static int entry_remove(const char *path, const struct stat *stat, int type, struct FTW *ftw)
{
    (void)stat;
    (void)type;
    (void)ftw;
    return remove(path);
}

void disk_folder_close(void *context, int folder_fd)
{
    (void)context;
    char link[64];
    char path[PATH_MAX] = "";
    snprintf(link, sizeof(link), "/proc/self/fd/%d", folder_fd);
    ssize_t size = readlink(link, path, sizeof(path) - 1);
    CU_ASSERT_FATAL(size > 0 && strncmp(path, "/tmp/gyr-contract-", 18) == 0);
    *strrchr(path, '/') = 0;
    CU_ASSERT(nftw(path, entry_remove, 8, FTW_DEPTH | FTW_PHYS) == 0);
    close(folder_fd);
}

void disk_file_make(void *context, int folder_fd, const char *path, const void *bytes, size_t size)
{
    (void)context;
    int fd = openat(folder_fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    CU_ASSERT_FATAL(fd >= 0);
    CU_ASSERT(write(fd, bytes, size) == (ssize_t)size);
    close(fd);
}

void disk_folder_make(void *context, int folder_fd, const char *path)
{
    (void)context;
    CU_ASSERT_FATAL(mkdirat(folder_fd, path, 0755) == 0);
}

void disk_link_make(void *context, int folder_fd, const char *path, const char *target)
{
    (void)context;
    CU_ASSERT_FATAL(symlinkat(target, folder_fd, path) == 0);
}

void disk_fifo_make(void *context, int folder_fd, const char *path)
{
    (void)context;
    CU_ASSERT_FATAL(mkfifoat(folder_fd, path, 0644) == 0);
}
