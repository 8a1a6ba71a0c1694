/* value.h: what stands in a manifest's attributes. All take NULL: the attribute is absent. */
#ifndef SPATE_DASH_VALUE_H
#define SPATE_DASH_VALUE_H

#include "control/dash/mpd.h"

/*
 * xs:duration ("PT1H2M3.5S") in seconds; < 0: absent or malformed. Years and months have no length,
 * so they must be 0 ("P0Y0M0DT0H1M" is what some packagers write).
 */
double spate_mpd_duration(const char *text);

/* Decimal digits and nothing else. false leaves *out as it was. */
bool spate_mpd_number(const char *text, uint64_t *out);

/* "0-796", or "797-" up to the end. false leaves *out as it was. */
bool spate_mpd_byte_range(const char *text, struct spate_mpd_range *out);

#endif
