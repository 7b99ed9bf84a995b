/* SPDX-License-Identifier: MIT */
/* The simulator: `sim SEED` replays one seed with its trace, `sim --seeds N` runs the first N. What
 * a seed decides is in plan.h. In most worlds the service is a table of functions (service.h); in
 * some, and in all of `--profile app`, it is an application (app.h): its resources, hooks and
 * handlers do by chance whatever they may, wait and are finished in every order, and an oracle that
 * knows the rules of gyr/gyr_app.h alone says of each call whether it may come now. */
#include "tests/sim/seeds.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int usage(void)
{
    (void)fprintf(stderr, "usage: sim [--profile any|calm|rough|storm|tight|stop|rooms|app] SEED\n"
                          "       sim [--profile ...] [--first SEED] --seeds COUNT\n");
    return 2;
}

int main(int argc, char **argv)
{
    enum profile profile = PROFILE_ANY;
    uint64_t first = 1;
    unsigned count = 0;
    const char *seed = NULL;
    setvbuf(stdout, NULL, _IOLBF, 0);
    for (int i = 1; i < argc; i++) {
        bool has_value = i + 1 < argc;
        if (strcmp(argv[i], "--profile") == 0 && has_value) {
            if (!profile_find(argv[++i], &profile)) {
                return usage();
            }
        } else if (strcmp(argv[i], "--seeds") == 0 && has_value) {
            count = (unsigned)strtoul(argv[++i], NULL, 10);
        } else if (strcmp(argv[i], "--first") == 0 && has_value) {
            first = strtoull(argv[++i], NULL, 10);
        } else if (argv[i][0] >= '0' && argv[i][0] <= '9' && seed == NULL) {
            seed = argv[i];
        } else {
            return usage();
        }
    }
    if (seed != NULL && count == 0) {
        return seed_replay(strtoull(seed, NULL, 10), profile) ? 0 : 1;
    }
    if (seed != NULL || count == 0) {
        return usage();
    }
    unsigned failed = seeds_run(first, count, profile);
    printf("%u passed, %u failed\n", count - failed, failed);
    return failed != 0;
}
