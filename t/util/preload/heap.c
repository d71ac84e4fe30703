
/*
 * Counts what a process has from malloc(), to the byte: what RSS says of it
 * depends on where the pieces happen to lie.
 *
 *     LD_PRELOAD=heap.so FANOUT_DIR=DIR program
 *
 * Each process writes two numbers of 64 bits to the file DIR/heap.PID, and
 * keeps them up to date: pieces, and bytes with what malloc() rounds them up
 * by.  A process that is forked begins with those of its parent.
 */


#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <sys/mman.h>


typedef struct {
    int64_t          pieces;
    int64_t          bytes;
} heap_t;


/* glibc's own names of what is replaced here */

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t size);
extern void *__libc_memalign(size_t align, size_t size);
extern void __libc_free(void *p);


static heap_t      heap_first;
static heap_t     *heap = &heap_first;
static char        heap_dir[4096];


/* before the process has a second thread */

static void
heap_open(void)
{
    int      fd;
    char     path[4200];
    heap_t  *h;

    snprintf(path, sizeof(path), "%s/heap.%d", heap_dir, (int) getpid());

    fd = open(path, O_RDWR|O_CREAT|O_TRUNC|O_CLOEXEC, 0644);
    if (fd == -1) {
        return;
    }

    if (ftruncate(fd, sizeof(heap_t)) == 0) {
        h = mmap(NULL, sizeof(heap_t), PROT_READ|PROT_WRITE, MAP_SHARED, fd,
                 0);

        if (h != MAP_FAILED) {
            *h = *heap;
            heap = h;
        }
    }

    close(fd);
}


static void __attribute__((constructor))
heap_init(void)
{
    const char  *dir;

    dir = getenv("FANOUT_DIR");

    if (dir && strlen(dir) < sizeof(heap_dir)) {

        /* nginx writes its title over the environment */

        memcpy(heap_dir, dir, strlen(dir) + 1);

        heap_open();
        pthread_atfork(NULL, NULL, heap_open);
    }
}


static void *
heap_count(void *p, int64_t sign)
{
    if (p) {
        __atomic_add_fetch(&heap->pieces, sign, __ATOMIC_RELAXED);
        __atomic_add_fetch(&heap->bytes,
                           sign * (int64_t) malloc_usable_size(p),
                           __ATOMIC_RELAXED);
    }

    return p;
}


void *
malloc(size_t size)
{
    return heap_count(__libc_malloc(size), 1);
}


void *
calloc(size_t n, size_t size)
{
    return heap_count(__libc_calloc(n, size), 1);
}


void
free(void *p)
{
    int  err;

    err = errno;
    heap_count(p, -1);
    __libc_free(p);
    errno = err;
}


void *
realloc(void *p, size_t size)
{
    void  *new;

    heap_count(p, -1);

    new = __libc_realloc(p, size);

    if (new == NULL && size) {
        heap_count(p, 1);
    }

    return heap_count(new, 1);
}


void *
memalign(size_t align, size_t size)
{
    return heap_count(__libc_memalign(align, size), 1);
}


void *
aligned_alloc(size_t align, size_t size)
{
    return memalign(align, size);
}


int
posix_memalign(void **p, size_t align, size_t size)
{
    *p = memalign(align, size);

    return *p ? 0 : ENOMEM;
}
