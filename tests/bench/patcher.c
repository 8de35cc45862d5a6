/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include <curl/curl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fairlead/mem.h"

/*
 * The yardstick of tests/bench/allocate: sends as many strategic merge patches as lines come in, so
 * many at a time, and does nothing else.  It looks at no answer but for its code.
 */

static const char usage[] =
	"Usage: patcher http1|http2 IN-FLIGHT CA-FILE TOKEN <LINES\n"
	"Sends a PATCH for each line \"URL BODY\"; prints how many seconds that took, or fails.\n";

struct lane {
	CURL *easy;
	char *line; /* the one under way */
};

static size_t swallow(char *data, size_t size, size_t n, void *arg)
{
	(void)data, (void)arg;
	return size * n;
}

static struct curl_slist *make_headers(const char *token)
{
	cleanup_free char *authorization = xasprintf("Authorization: Bearer %s", token);
	struct curl_slist *list = curl_slist_append(NULL, authorization);

	list = curl_slist_append(list, "Content-Type: application/strategic-merge-patch+json");
	list = curl_slist_append(list, "Accept: application/json");
	return curl_slist_append(list, "Expect:");
}

static CURL *new_easy(bool http2, const char *ca_file, struct curl_slist *headers)
{
	CURL *easy = curl_easy_init();

	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION,
	                 (long)(http2 ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1));
	curl_easy_setopt(easy, CURLOPT_PIPEWAIT, http2 ? 1L : 0L);
	curl_easy_setopt(easy, CURLOPT_CAINFO, ca_file);
	curl_easy_setopt(easy, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(easy, CURLOPT_CUSTOMREQUEST, "PATCH");
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, swallow);
	curl_easy_setopt(easy, CURLOPT_USERAGENT, "patcher");
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, 60000L);
	return easy;
}

/* Sends the next line's patch; false if there is none. */
static bool send_next(CURLM *multi, struct lane *lane)
{
	size_t size = 0;

	free(lane->line);
	lane->line = NULL;
	if (getline(&lane->line, &size, stdin) < 0)
		return false;
	char *body = strchr(lane->line, ' ');
	if (!body)
		return false;
	*body++ = 0;
	curl_easy_setopt(lane->easy, CURLOPT_URL, lane->line);
	curl_easy_setopt(lane->easy, CURLOPT_POSTFIELDS, body);
	curl_easy_setopt(lane->easy, CURLOPT_PRIVATE, lane);
	curl_multi_add_handle(multi, lane->easy);
	return true;
}

static bool succeeded(const CURLMsg *msg)
{
	long code = 0;

	curl_easy_getinfo(msg->easy_handle, CURLINFO_RESPONSE_CODE, &code);
	if (msg->data.result == CURLE_OK && code == 200)
		return true;
	fprintf(stderr, "patcher: %s, %ld\n", curl_easy_strerror(msg->data.result), code);
	return false;
}

/* Runs until every lane has come to the end of the lines. */
static bool run(CURLM *multi, size_t n_busy)
{
	bool good = true;

	while (n_busy) {
		int running, left;
		curl_multi_perform(multi, &running);
		for (CURLMsg *msg; (msg = curl_multi_info_read(multi, &left));) {
			char *lane;
			good = succeeded(msg) && good;
			curl_easy_getinfo(msg->easy_handle, CURLINFO_PRIVATE, &lane);
			curl_multi_remove_handle(multi, msg->easy_handle);
			n_busy -= !send_next(multi, (struct lane *)lane);
		}
		curl_multi_poll(multi, NULL, 0, 1000, NULL);
	}
	return good;
}

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

int main(int argc, char **argv)
{
	if (argc != 5) {
		fputs(usage, stderr);
		return 2;
	}
	size_t n_lanes = strtoul(argv[2], NULL, 10), n_busy = 0;
	curl_global_init(CURL_GLOBAL_DEFAULT);
	CURLM *multi = curl_multi_init();
	struct curl_slist *headers = make_headers(argv[4]);
	struct lane *lanes = xcalloc(n_lanes, sizeof(*lanes));
	double from = now_s();
	for (size_t i = 0; i < n_lanes; i++) {
		lanes[i].easy = new_easy(!strcmp(argv[1], "http2"), argv[3], headers);
		n_busy += send_next(multi, &lanes[i]);
	}
	bool good = run(multi, n_busy);
	printf("%.3f\n", now_s() - from);
	for (size_t i = 0; i < n_lanes; i++)
		curl_easy_cleanup(lanes[i].easy);
	curl_multi_cleanup(multi);
	curl_slist_free_all(headers);
	free(lanes);
	return good ? 0 : 1;
}
