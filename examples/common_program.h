/* SPDX-License-Identifier: MIT */
/* An example as a program: its command line, its settings, what it says, its service manager. It
 * calls itself what it was started as. */
#ifndef EXAMPLES_COMMON_PROGRAM_H
#define EXAMPLES_COMMON_PROGRAM_H

#include <gyr/gyr.h>
#include <gyr/gyr_app.h>

#include <signal.h>

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
    bool has_files;    /* it has the option --files; set before program_options */
    const char *files; /* NULL: none are served */
    bool has_routes;   /* it has the option --routes; set before program_options */
    bool routes;       /* program_app is to print them */
};

/* Read the command line; ends the program for --help, --version and mistakes. */
void program_options(struct options *options, int argc, char **argv);

/* What was declared wrongly is said, all of it, and ends the program; --routes prints the table of
 * routes, and ends it too. Before gyr_app_server. */
void program_app(const struct options *options, struct gyr_app *app);

/* Settings in layers, from the weakest to the strongest: the program, the file, the environment,
 * the command line. Ends the program after a mistake, and if they were only to be shown. */
struct gyr_settings *program_settings_of(const struct options *options);

/* The signals that program_wait takes. Before the server is created: its threads take none. */
void program_signals(const struct options *options, sigset_t *signals);

/* Listen where the command line says, or on the sockets of a service manager, as of the unit
 * gyr-echo.socket, or on a port of our own. */
void program_listen(const struct options *options, struct gyr_server *server);

/* Say where the server listens, and take SIGHUP until it is told to stop. */
void program_wait(const struct options *options, struct gyr_server *server,
                  const sigset_t *signals);
/* Stop the server, wait for its end and release it. */
void program_stop(struct gyr_server *server, const sigset_t *signals);

/* on_log of a service: a line on standard error. */
void program_log(void *user, enum gyr_log_level level, struct gyr_span line);

/* After an error: say it, and end the program. */
void program_check(int err, const struct gyr_error *error);

#endif
