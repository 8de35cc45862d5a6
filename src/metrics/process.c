/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "fairlead/metrics.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* One line of /proc/self/status, in kB there, in bytes here; 0 if it is missing. */
static double status_bytes(const char *status, const char *key)
{
	const char *line = strstr(status, key);
	unsigned long kb = 0;

	if (!line || sscanf(line + strlen(key), " %lu", &kb) != 1)
		return 0;
	return (double)kb * 1024;
}

static void read_self(const char *path, char *out, size_t size)
{
	FILE *f = fopen(path, "re");
	size_t n = 0;

	if (f) {
		n = fread(out, 1, size - 1, f);
		fclose(f);
	}
	out[n] = '\0';
}

static double count_fds(void)
{
	DIR *d = opendir("/proc/self/fd");
	double n = 0;

	if (!d)
		return 0;
	for (const struct dirent *e; (e = readdir(d));)
		if (e->d_name[0] != '.')
			n++;
	closedir(d);
	return n - 1; /* the directory's own */
}

/* Field 22 of /proc/self/stat, ticks after boot, on the wall clock. */
static double start_time_s(void)
{
	char stat[1024];
	struct timespec boot, wall;

	unsigned long long ticks = 0;

	read_self("/proc/self/stat", stat, sizeof(stat));
	const char *p = strrchr(stat, ')');
	for (int field = 2; p && field < 22; field++)
		p = strchr(p + 1, ' ');
	if (!p || sscanf(p, " %llu", &ticks) != 1)
		return 0;
	clock_gettime(CLOCK_BOOTTIME, &boot);
	clock_gettime(CLOCK_REALTIME, &wall);
	return (double)(wall.tv_sec - boot.tv_sec) + (double)ticks / (double)sysconf(_SC_CLK_TCK);
}

void metrics_process(struct metrics_writer *w)
{
	char status[4096];
	struct rusage ru = { 0 };

	read_self("/proc/self/status", status, sizeof(status));
	getrusage(RUSAGE_SELF, &ru);
	metrics_family(w, METRIC_fairlead_build_info);
	metrics_sample(w, 1, "version", PACKAGE_VERSION, NULL);
	metrics_value(w, METRIC_process_cpu_seconds_total,
	              (double)(ru.ru_utime.tv_sec + ru.ru_stime.tv_sec) +
	                      (double)(ru.ru_utime.tv_usec + ru.ru_stime.tv_usec) / 1e6);
	metrics_value(w, METRIC_process_start_time_seconds, start_time_s());
	metrics_value(w, METRIC_process_resident_memory_bytes, status_bytes(status, "VmRSS:"));
	metrics_value(w, METRIC_fairlead_private_memory_bytes,
	              status_bytes(status, "RssAnon:") + status_bytes(status, "RssShmem:"));
	metrics_value(w, METRIC_process_open_fds, count_fds());
}
