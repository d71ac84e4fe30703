
/*
 * What every pure file shares: integers, strings, return codes and the
 * allocator that is passed in.
 *
 * Pure code (prefix fo_) knows no nginx, makes no system call and has no
 * global state: memory, time and chance come from the caller.
 */


#ifndef FO_CORE_H
#define FO_CORE_H


#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/types.h>


/* equal to nginx's, which the module asserts at compile time */

#define FO_OK      0
#define FO_ERROR  -1
#define FO_AGAIN  -2


#define fo_min(a, b)       (((a) < (b)) ? (a) : (b))
#define fo_max(a, b)       (((a) > (b)) ? (a) : (b))
#define fo_align8(n)       (((n) + 7) & ~(size_t) 7)

#define fo_str(text)       { sizeof(text) - 1, (u_char *) text }

/* the object that holds "member" */
#define fo_data(p, type, member)                                              \
    (type *) (void *) ((u_char *) (p) - offsetof(type, member))


/* bytes of any kind, not terminated; data may be NULL when len is 0 */

typedef struct {
    size_t    len;
    u_char   *data;
} fo_str_t;


/*
 * The allocator.  alloc() returns memory aligned for any object, not
 * cleared, or NULL; free() takes only what alloc() gave, never NULL.
 */

typedef struct {
    void   *(*alloc)(void *ctx, size_t size);
    void    (*free)(void *ctx, void *p);
    void     *ctx;
} fo_alloc_t;


#define fo_alloc(a, size)  (a)->alloc((a)->ctx, size)
#define fo_free(a, p)      (a)->free((a)->ctx, p)


#endif /* FO_CORE_H */
