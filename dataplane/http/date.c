#include "dataplane/http/date.h"

static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
static const char days[] = "SunMonTueWedThuFriSat";

/* Days from 1970-01-01 to year-month-1, Gregorian; month 0..11. Years are counted from March, so a
 * leap day is last. */
static int64_t days_to_month(int64_t year, int month)
{
	int64_t y = month < 2 ? year - 1 : year;
	int64_t era = (y >= 0 ? y : y - 399) / 400;
	int64_t of_era = y - era * 400;
	int64_t of_year = (153 * ((month + 10) % 12) + 2) / 5;

	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

static int days_in(int64_t year, int month)
{
	static const uint8_t n[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return n[month] + (month == 1 && leap);
}

/* n digits at *p; -1 when there is something else. */
static int take_digits(const char **p, unsigned n)
{
	int v = 0;

	for (unsigned i = 0; i < n; i++) {
		char c = *(*p)++;

		if (c < '0' || c > '9')
			return -1;
		v = v * 10 + c - '0';
	}
	return v;
}

static bool take_text(const char **p, const char *text, unsigned n)
{
	if (memcmp(*p, text, n) != 0)
		return false;
	*p += n;
	return true;
}

/* One of `count` three-letter names; -1: none. Case counts (RFC 9110 5.6.7). */
static int take_name(const char **p, const char *names, int count)
{
	for (int i = 0; i < count; i++)
		if (take_text(p, names + (ptrdiff_t)i * 3, 3))
			return i;
	return -1;
}

struct moment {
	int year, month, day, hour, minute, second;
};

static bool take_clock(const char **p, struct moment *m)
{
	m->hour = take_digits(p, 2);
	if (m->hour < 0 || !take_text(p, ":", 1))
		return false;
	m->minute = take_digits(p, 2);
	if (m->minute < 0 || !take_text(p, ":", 1))
		return false;
	m->second = take_digits(p, 2);
	return m->second >= 0;
}

/* "Sun, 06 Nov 1994 08:49:37 GMT" */
static bool imf_fixdate(const char *p, struct moment *m)
{
	if (take_name(&p, days, 7) < 0 || !take_text(&p, ", ", 2))
		return false;
	m->day = take_digits(&p, 2);
	if (m->day < 0 || !take_text(&p, " ", 1))
		return false;
	m->month = take_name(&p, months, 12);
	if (m->month < 0 || !take_text(&p, " ", 1))
		return false;
	m->year = take_digits(&p, 4);
	return m->year >= 0 && take_text(&p, " ", 1) && take_clock(&p, m) &&
	       take_text(&p, " GMT", 4);
}

/* "Sunday, 06-Nov-94 08:49:37 GMT"; the year has two digits still. */
static bool rfc850(struct spate_slice s, struct moment *m)
{
	static const char *const full[] = {"Sunday, ",   "Monday, ", "Tuesday, ", "Wednesday, ",
					   "Thursday, ", "Friday, ", "Saturday, "};
	static const unsigned tail = sizeof("06-Nov-94 08:49:37 GMT") - 1;
	const char *p = s.p;
	bool named = false;

	for (unsigned i = 0; i < 7 && !named; i++)
		named = s.len == strlen(full[i]) + tail && take_text(&p, full[i], s.len - tail);
	if (!named)
		return false;
	m->day = take_digits(&p, 2);
	if (m->day < 0 || !take_text(&p, "-", 1))
		return false;
	m->month = take_name(&p, months, 12);
	if (m->month < 0 || !take_text(&p, "-", 1))
		return false;
	m->year = take_digits(&p, 2);
	return m->year >= 0 && take_text(&p, " ", 1) && take_clock(&p, m) &&
	       take_text(&p, " GMT", 4);
}

/* "Sun Nov  6 08:49:37 1994" */
static bool asctime_date(const char *p, struct moment *m)
{
	if (take_name(&p, days, 7) < 0 || !take_text(&p, " ", 1))
		return false;
	m->month = take_name(&p, months, 12);
	if (m->month < 0 || !take_text(&p, " ", 1))
		return false;
	m->day = take_text(&p, " ", 1) ? take_digits(&p, 1) : take_digits(&p, 2);
	if (m->day < 0 || !take_text(&p, " ", 1) || !take_clock(&p, m) || !take_text(&p, " ", 1))
		return false;
	m->year = take_digits(&p, 4);
	return m->year >= 0;
}

static int64_t seconds_of(const struct moment *m)
{
	int64_t day = days_to_month(m->year, m->month) + m->day - 1;

	return day * 86400 + (int64_t)m->hour * 3600 + (int64_t)m->minute * 60 + m->second;
}

/* RFC 9110 5.6.7: over 50 years ahead means the most recent year that ends so. */
static void settle_century(struct moment *m, int64_t now_s)
{
	const int64_t fifty_years = 1577847600; /* of 365.2425 days, rounded down */
	int64_t year_now = 1970 + now_s / 31556952;

	m->year += (int)(year_now / 100 * 100) + 100;
	while (m->year >= 100 && seconds_of(m) > now_s + fifty_years)
		m->year -= 100;
}

bool spate_http_date_parse(struct spate_slice s, int64_t now_s, int64_t *out)
{
	struct moment m;
	bool two_digits = false;

	if (s.len == SPATE_HTTP_DATE_LEN && s.p[3] == ',') {
		if (!imf_fixdate(s.p, &m))
			return false;
	} else if (s.len == sizeof("Sun Nov  6 08:49:37 1994") - 1) {
		if (!asctime_date(s.p, &m))
			return false;
	} else {
		if (!rfc850(s, &m))
			return false;
		two_digits = true;
	}
	/* 60: a leap second (RFC 5322 3.3); it counts as the next minute's first. */
	if (m.hour > 23 || m.minute > 59 || m.second > 60)
		return false;
	if (two_digits)
		settle_century(&m, now_s);
	if (m.day < 1 || m.day > days_in(m.year, m.month))
		return false;

	int64_t t = seconds_of(&m);

	*out = t < 0 ? 0 : t;
	return true;
}

static char *put_digits(char *p, int64_t v, unsigned n)
{
	for (unsigned i = n; i-- > 0; v /= 10)
		p[i] = (char)('0' + v % 10);
	return p + n;
}

static char *put_text(char *p, const char *text, unsigned n)
{
	memcpy(p, text, n);
	return p + n;
}

void spate_http_date_format(int64_t t_s, char out[static SPATE_HTTP_DATE_LEN])
{
	const int64_t last = 253402300799; /* 9999-12-31 23:59:59 */
	int64_t t = t_s < 0 ? 0 : t_s > last ? last : t_s;
	int64_t day = t / 86400, second = t % 86400;
	int64_t year = 1970 + day / 366;

	while (days_to_month(year + 1, 0) <= day)
		year++;

	int month = 11;

	while (days_to_month(year, month) > day)
		month--;

	char *p = put_text(out, days + (day + 4) % 7 * 3, 3);

	p = put_text(p, ", ", 2);
	p = put_digits(p, day - days_to_month(year, month) + 1, 2);
	p = put_text(p, " ", 1);
	p = put_text(p, months + (ptrdiff_t)month * 3, 3);
	p = put_text(p, " ", 1);
	p = put_digits(p, year, 4);
	p = put_text(p, " ", 1);
	p = put_digits(p, second / 3600, 2);
	p = put_text(p, ":", 1);
	p = put_digits(p, second / 60 % 60, 2);
	p = put_text(p, ":", 1);
	p = put_digits(p, second % 60, 2);
	put_text(p, " GMT", 4);
}
