
/*
 * What the test programs share.  None of this goes into the module.
 */


#ifndef FO_UTIL_H
#define FO_UTIL_H


#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>


#define NS  1000000000LL


static inline void __attribute__((noreturn, format(printf, 1, 2)))
die(const char *fmt, ...)
{
    va_list  args;

    fprintf(stderr, "%s: ", program_invocation_short_name);

    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);

    fputc('\n', stderr);
    exit(2);
}


/* the one clock of producer and client: they run on one machine */

static inline int64_t
now_ns(void)
{
    struct timespec  ts;

    clock_gettime(CLOCK_MONOTONIC, &ts);

    return ts.tv_sec * NS + ts.tv_nsec;
}


static inline int64_t
number(const char *option, const char *text)
{
    char       *end;
    long long   n;

    errno = 0;
    n = strtoll(text, &end, 10);

    if (errno != 0 || end == text || *end != '\0') {
        die("%s: \"%s\" is no number", option, text);
    }

    return n;
}


/* a file that appears whole: whoever sees it can read it */

static inline void
write_file(const char *path, const char *text)
{
    FILE  *f;
    char   tmp[4096];

    if ((size_t) snprintf(tmp, sizeof(tmp), "%s.tmp", path) >= sizeof(tmp)) {
        die("%s: name too long", path);
    }

    f = fopen(tmp, "w");
    if (f == NULL || fputs(text, f) == EOF || fclose(f) == EOF
        || rename(tmp, path) == -1)
    {
        die("%s: %s", path, strerror(errno));
    }
}


#endif /* FO_UTIL_H */
