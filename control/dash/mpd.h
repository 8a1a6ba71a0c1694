/*
 * mpd.h: what a DASH manifest's representations are made of (ISO/IEC 23009-1): files, and the
 * segments in them with their times. libxml2's reader, network and entities off, bounded in depth,
 * size and number of segments.
 *
 *   rc = spate_mpd_parse(text, len, "/films/a/stream.mpd", &options, &mpd, &why)
 *   mpd->reps[i].urls[0 .. n)               its files: initialisation first, then in order of
 * playing mpd->reps[i].segments[0 .. nsegments)   what to fetch for each stretch of time: part of a
 * file spate_mpd_free(mpd)
 *
 * Understood: BaseURL at every level, SegmentTemplate ($Number$, $Time$, $RepresentationID$,
 * $Bandwidth$, $$, widths such as $Number%05d$; SegmentTimeline or duration), SegmentList with
 * mediaRange, SegmentBase and a bare BaseURL (one file), attributes inherited from Period and
 * AdaptationSet. Not read: xlink, events, SubRepresentation, what only bitstream switching uses.
 *
 * tree.h says how it is made: walk.c reads the XML, timeline.c, template.c and resolve.c turn what
 * it says into times and paths, mpd.c puts them together.
 */
#ifndef SPATE_DASH_MPD_H
#define SPATE_DASH_MPD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct spate_mpd_options {
	size_t bytes;      /* of the manifest; 0: 8 MiB */
	size_t text;       /* of all its URLs; 0: 64 MiB */
	uint32_t segments; /* of all representations, their files' initialisation too; 0: 200,000 */
	uint32_t reps;     /* 0: 256 */
	bool any_host;     /* a URL on another host is taken as that path on this one */
};

struct spate_mpd_range { /* bytes of a file, both ends inclusive */
	uint64_t first, last;
};
#define SPATE_MPD_WHOLE ((struct spate_mpd_range){0, UINT64_MAX})

struct spate_mpd_segment {
	uint32_t url; /* of the representation's urls */
	struct spate_mpd_range range;
	uint64_t start, duration; /* media time, in timescale; duration 0: not said */
};

struct spate_mpd_rep {
	char *id;   /* as in the manifest; unique in it: the second "a" (of a later period) is "a~2"
		     */
	char *mime; /* "video/mp4", or "" */
	char kind;  /* 'v'ideo, 'a'udio, 'o'ther, as contentType or else mime says; 0: neither does
		     */
	uint32_t period, set; /* from 0; AdaptationSets are counted through all periods */
	uint64_t bandwidth;   /* bit/s; 0: not said */
	uint64_t timescale;   /* ticks a second, never 0 */
	bool elsewhere;       /* some URL leads to another host; n is 0 then */
	const char *why;      /* n is 0 as what is said of it makes no sense: what; else NULL */
	uint32_t n;
	char **urls; /* absolute paths with query, "/films/a/video/1.m4s", dot segments removed;
			not percent-normalised. One that repeats the one before stands once */
	bool has_init;
	struct spate_mpd_segment init;
	uint32_t nsegments; /* 0 with n > 0: one file, its segments stand in an index inside it */
	struct spate_mpd_segment *segments;
	struct spate_mpd_range index; /* SegmentBase: of the last of urls; the whole: not said */
};

struct spate_mpd {
	bool dynamic;      /* type="dynamic": reps are listed, without URLs */
	double duration_s; /* mediaPresentationDuration; < 0: not said */
	uint32_t periods, sets;
	uint32_t n;
	struct spate_mpd_rep *reps;
};

/*
 * url: the manifest's own absolute path (a query is ignored). options NULL: defaults. 0, -EINVAL
 * (not XML, not an MPD, or nonsense in it), -E2BIG (beyond a limit), -ENOMEM. why: NULL, or where
 * a sentence about -EINVAL goes (static; NULL for other results).
 */
int spate_mpd_parse(const char *text, size_t len, const char *url,
		    const struct spate_mpd_options *options, struct spate_mpd **out,
		    const char **why);
void spate_mpd_free(struct spate_mpd *mpd); /* NULL is fine */

/*
 * RFC 3986 5.2 with a base of path only: a malloc'd absolute path, or NULL with *elsewhere (it has
 * an authority or another scheme) or without (no memory, or it climbs above the root).
 */
char *spate_mpd_resolve(const char *base, const char *reference, bool *elsewhere);

#endif
