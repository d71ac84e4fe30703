
/*
 * An intrusive doubly linked list with a sentinel: a head and its elements
 * have the same type.  An element outside any list points at itself, so
 * that fo_queue_linked() can tell and fo_queue_remove() may be repeated.
 */


#ifndef FO_QUEUE_H
#define FO_QUEUE_H


#include "core/fo_core.h"


typedef struct fo_queue_s  fo_queue_t;

struct fo_queue_s {
    fo_queue_t   *prev;
    fo_queue_t   *next;
};


static inline void
fo_queue_init(fo_queue_t *q)
{
    q->prev = q;
    q->next = q;
}


static inline int
fo_queue_empty(fo_queue_t *head)
{
    return head->next == head;
}


static inline int
fo_queue_linked(fo_queue_t *q)
{
    return q->next != q;
}


static inline void
fo_queue_append(fo_queue_t *head, fo_queue_t *q)
{
    q->prev = head->prev;
    q->next = head;
    head->prev->next = q;
    head->prev = q;
}


static inline void
fo_queue_remove(fo_queue_t *q)
{
    q->prev->next = q->next;
    q->next->prev = q->prev;
    fo_queue_init(q);
}


/* moves all of "from" to the end of "to" */

static inline void
fo_queue_move(fo_queue_t *to, fo_queue_t *from)
{
    if (fo_queue_empty(from)) {
        return;
    }

    from->next->prev = to->prev;
    to->prev->next = from->next;
    from->prev->next = to;
    to->prev = from->prev;

    fo_queue_init(from);
}


#endif /* FO_QUEUE_H */
