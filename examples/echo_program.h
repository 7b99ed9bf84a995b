/* SPDX-License-Identifier: MIT */
/* gyr-echo as a program: its command line, its settings, what it says, its service manager. */
#ifndef EXAMPLES_ECHO_PROGRAM_H
#define EXAMPLES_ECHO_PROGRAM_H

#include <gyr/gyr.h>

#define ADDRESSES_MAX 16
#define SETTINGS_MAX  256

/* A setting of the command line. */
struct setting {
    const char *name;
    const char *value;
    const char *origin; /* the option */
};

struct options {
    const char *config; /* the file, or NULL */
    bool environment;
    bool print;
    bool check;
    struct setting settings[SETTINGS_MAX];
    unsigned setting_count;
    const char *addresses[ADDRESSES_MAX];
    unsigned address_count;
    const char *files; /* NULL: none are served */
};

/* Read the command line; ends the program for --help, --version and mistakes. */
void program_options(struct options *options, int argc, char **argv);

/* Settings in layers, from the weakest to the strongest: the program, the file, the environment,
 * the command line. Ends the program after a mistake, and if they were only to be shown. */
struct gyr_settings *program_settings_of(const struct options *options);
/* SIGHUP: a mistake in the file is said, and the server goes on as it was. */
void program_reload(const struct options *options, struct gyr_server *server);

/* Listen where the command line says, or on the sockets of a service manager, as of the unit
 * gyr-echo.socket, or on a port of our own. */
void program_listen(const struct options *options, struct gyr_server *server);

/* Where the server listens, in one line; and why it is not on io_uring, if it is not. */
void program_announce(const struct gyr_server *server);
void program_announce_ring(const struct gyr_server *server);
/* Tell the service manager how far we are, if it wants to know: sd_notify(3). */
void program_notify(const char *state);

/* After an error: say it, and end the program. */
void program_check(int err, const struct gyr_error *error);

#endif
