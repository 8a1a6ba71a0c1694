#include "dataplane/http/mime.h"

// clang-format off
static const struct {
	struct spate_slice extension; /* lower case, most asked first */
	struct spate_slice type;
} types[] = {
	/* DASH: ISO/IEC 23009-1, 14496-12. Audio segments may say video too. */
	{SPATE_SLICE_INIT("m4s"), SPATE_SLICE_INIT("video/iso.segment")},
	{SPATE_SLICE_INIT("mpd"), SPATE_SLICE_INIT("application/dash+xml")},
	{SPATE_SLICE_INIT("mp4"), SPATE_SLICE_INIT("video/mp4")},
	{SPATE_SLICE_INIT("m4v"), SPATE_SLICE_INIT("video/mp4")},
	{SPATE_SLICE_INIT("m4a"), SPATE_SLICE_INIT("audio/mp4")},
	{SPATE_SLICE_INIT("m4f"), SPATE_SLICE_INIT("video/iso.segment")},
	{SPATE_SLICE_INIT("cmfv"), SPATE_SLICE_INIT("video/mp4")}, /* CMAF, ISO/IEC 23000-19 */
	{SPATE_SLICE_INIT("cmfa"), SPATE_SLICE_INIT("audio/mp4")},
	{SPATE_SLICE_INIT("cmft"), SPATE_SLICE_INIT("application/mp4")},
	{SPATE_SLICE_INIT("webm"), SPATE_SLICE_INIT("video/webm")},
	/* HLS: RFC 8216 4 */
	{SPATE_SLICE_INIT("ts"), SPATE_SLICE_INIT("video/mp2t")},
	{SPATE_SLICE_INIT("m3u8"), SPATE_SLICE_INIT("application/vnd.apple.mpegurl")},
	{SPATE_SLICE_INIT("aac"), SPATE_SLICE_INIT("audio/aac")},
	{SPATE_SLICE_INIT("mp3"), SPATE_SLICE_INIT("audio/mpeg")},
	{SPATE_SLICE_INIT("key"), SPATE_SLICE_INIT("application/octet-stream")},
	/* text tracks */
	{SPATE_SLICE_INIT("vtt"), SPATE_SLICE_INIT("text/vtt")},
	{SPATE_SLICE_INIT("ttml"), SPATE_SLICE_INIT("application/ttml+xml")},
	{SPATE_SLICE_INIT("srt"), SPATE_SLICE_INIT("application/x-subrip")},
	/* thumbnails and the page around the player */
	{SPATE_SLICE_INIT("jpg"), SPATE_SLICE_INIT("image/jpeg")},
	{SPATE_SLICE_INIT("jpeg"), SPATE_SLICE_INIT("image/jpeg")},
	{SPATE_SLICE_INIT("png"), SPATE_SLICE_INIT("image/png")},
	{SPATE_SLICE_INIT("webp"), SPATE_SLICE_INIT("image/webp")},
	{SPATE_SLICE_INIT("avif"), SPATE_SLICE_INIT("image/avif")},
	{SPATE_SLICE_INIT("gif"), SPATE_SLICE_INIT("image/gif")},
	{SPATE_SLICE_INIT("svg"), SPATE_SLICE_INIT("image/svg+xml")},
	{SPATE_SLICE_INIT("ico"), SPATE_SLICE_INIT("image/vnd.microsoft.icon")},
	{SPATE_SLICE_INIT("html"), SPATE_SLICE_INIT("text/html")},
	{SPATE_SLICE_INIT("htm"), SPATE_SLICE_INIT("text/html")},
	{SPATE_SLICE_INIT("js"), SPATE_SLICE_INIT("text/javascript")},
	{SPATE_SLICE_INIT("mjs"), SPATE_SLICE_INIT("text/javascript")},
	{SPATE_SLICE_INIT("css"), SPATE_SLICE_INIT("text/css")},
	{SPATE_SLICE_INIT("json"), SPATE_SLICE_INIT("application/json")},
	{SPATE_SLICE_INIT("xml"), SPATE_SLICE_INIT("application/xml")},
	{SPATE_SLICE_INIT("txt"), SPATE_SLICE_INIT("text/plain")},
	{SPATE_SLICE_INIT("wasm"), SPATE_SLICE_INIT("application/wasm")},
	{SPATE_SLICE_INIT("woff2"), SPATE_SLICE_INIT("font/woff2")},
	/* the rest an edge meets */
	{SPATE_SLICE_INIT("mkv"), SPATE_SLICE_INIT("video/x-matroska")},
	{SPATE_SLICE_INIT("mov"), SPATE_SLICE_INIT("video/quicktime")},
	{SPATE_SLICE_INIT("ogg"), SPATE_SLICE_INIT("audio/ogg")},
	{SPATE_SLICE_INIT("opus"), SPATE_SLICE_INIT("audio/ogg")},
	{SPATE_SLICE_INIT("flac"), SPATE_SLICE_INIT("audio/flac")},
	{SPATE_SLICE_INIT("wav"), SPATE_SLICE_INIT("audio/wav")},
	{SPATE_SLICE_INIT("pdf"), SPATE_SLICE_INIT("application/pdf")},
	{SPATE_SLICE_INIT("zip"), SPATE_SLICE_INIT("application/zip")},
	{SPATE_SLICE_INIT("torrent"), SPATE_SLICE_INIT("application/x-bittorrent")},
};
// clang-format on

struct spate_slice spate_http_mime(struct spate_slice path)
{
	uint32_t at = path.len;

	while (at > 0 && path.p[at - 1] != '.' && path.p[at - 1] != '/')
		at--;
	if (at > 0 && path.p[at - 1] == '.') {
		struct spate_slice extension = spate_slice_of(path.p + at, path.len - at);

		for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++)
			if (spate_slice_is(extension, types[i].extension))
				return types[i].type;
	}
	return SPATE_SLICE("application/octet-stream");
}
