/* SPDX-License-Identifier: MIT */
/* The table of engine/config.c, a line for each option with tabs between: name, unit, range, default,
 * whether each core may have its own, whether it can be reloaded, the cost of raising it. For
 * tools/config_doc. */
#include "engine/config.h"

#include <stdio.h>

int main(void)
{
    struct gyr_config config = gyr_config_default();
    const struct config_field *field;
    for (unsigned i = 0; (field = config_field_at(i)) != NULL; i++) {
        char range[128];
        char standard[128];
        (void)config_field_range(field, range, sizeof(range));
        (void)config_field_value(field, &config, standard, sizeof(standard));
        (void)printf("%s\t%s%s\t%s\t%s\t%s\t%s\t%s\n", field->name, field->unit,
                     field->kind == CONFIG_POWER ? ", power of two" : "", range, standard,
                     (field->flags & CONFIG_F_CORE) != 0 ? "yes" : "",
                     (field->flags & CONFIG_F_LIVE) != 0 ? "yes" : "", field->cost);
    }
    return 0;
}
