/*
 * mpd.h: which URLs a DASH manifest's representations are made of (ISO/IEC 23009-1). libxml2's
 * reader, network and entities off, bounded in depth, size and number of segments.
 *
 *   rc = spate_mpd_parse(text, len, "/films/a/stream.mpd", &limits, &mpd)
 *   mpd->reps[i].urls[0 .. n)       initialisation first, then segments in order of playing
 *   spate_mpd_free(mpd)
 *
 * Understood: BaseURL at every level, SegmentTemplate ($Number$, $Time$, $RepresentationID$,
 * $Bandwidth$, $$, widths such as $Number%05d$; SegmentTimeline or duration), SegmentList,
 * SegmentBase and a bare BaseURL (one file), attributes inherited from Period and AdaptationSet.
 * Not read: xlink, events, SubRepresentation, what only bitstream switching uses. URLs that differ
 * in byte ranges only are one file, listed once.
 */
#ifndef SPATE_DASH_MPD_H
#define SPATE_DASH_MPD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct spate_mpd_limits {
	size_t bytes;      /* of the manifest; 0: 8 MiB */
	uint32_t segments; /* of all representations; 0: 200,000 */
	uint32_t reps;     /* 0: 256 */
};

struct spate_mpd_rep {
	char *id;   /* as in the manifest; unique in it: the second "a" (of a later period) is "a~2"
		     */
	char *mime; /* "video/mp4", or "" */
	uint64_t bandwidth;
	bool elsewhere; /* some URL leads to another host; n is 0 then */
	uint32_t n;     /* 0: also where what is said of it makes no sense */
	char **urls;    /* absolute paths with query, "/films/a/video/1.m4s", dot segments removed;
			   not percent-normalised */
};

struct spate_mpd {
	bool dynamic; /* type="dynamic": reps are listed, without URLs */
	uint32_t n;
	struct spate_mpd_rep *reps;
};

/*
 * url: the manifest's own absolute path (a query is ignored). limits NULL: defaults. 0, -EINVAL
 * (not XML, not an MPD, or nonsense in it), -E2BIG (beyond a limit), -ENOMEM.
 */
int spate_mpd_parse(const char *text, size_t len, const char *url,
		    const struct spate_mpd_limits *limits, struct spate_mpd **out);
void spate_mpd_free(struct spate_mpd *mpd); /* NULL is fine */

/*
 * RFC 3986 5.2 with a base of path only: a malloc'd absolute path, or NULL with *elsewhere (it has
 * an authority or another scheme) or without (no memory, or it climbs above the root).
 */
char *spate_mpd_resolve(const char *base, const char *reference, bool *elsewhere);

#endif
