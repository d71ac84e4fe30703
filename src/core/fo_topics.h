
/*
 * Topic rows: what is known of a topic, and which workers want what of it;
 * see fo_rows.h.
 */


#ifndef FO_TOPICS_H
#define FO_TOPICS_H


#include "core/fo_zone.h"
#include "core/fo_filter.h"


typedef enum {
    FO_TOPIC_ASKED = 0,    /* nobody knows yet */
    FO_TOPIC_KNOWN,
    FO_TOPIC_FAILED        /* error says why; asked again after a while */
} fo_topic_state_e;


#define FO_TOPIC_NEGATIVE  2000u    /* ms that a failure is believed */
#define FO_TOPIC_FRESH     30000u   /* ms after which the owner asks again */


struct fo_topic_row_s {
    _Atomic uint32_t   used;          /* lock */
    uint32_t           next;          /* chain, index + 1; lock */
    uint64_t           hash;          /* of cluster and name; lock */
    uint64_t           cluster;       /* lock */
    _Atomic uint64_t   owner;         /* lock */
    uint32_t           state;         /* fo_topic_state_e; owner, lock */
    uint32_t           error;         /* fo_error_e; owner, lock */
    uint32_t           partitions;    /* owner, lock */
    uint32_t           any;           /* 1: declared partitioner was wrong,
                                         keys may be anywhere; lock */
    uint64_t           incarnation;   /* owner, lock */
    uint64_t           checked;       /* ms; owner, lock */
    fo_amask_t         users;         /* workers that hold it; lock */
    fo_amask_t         all;           /* workers that want everything; lock */
    _Atomic uint64_t   prefixes;      /* lengths in use, bit n: n bytes; lock */
    fo_amask_t         prefix[64];    /* who uses that length; lock */
    uint32_t           sources;       /* source rows of it; lock */
    uint32_t           name_len;      /* lock */
    u_char             name[FO_TOPIC_MAX + 7];
};


/*
 * Finds or makes the row and notes "slot" as its user.  FO_NONE: all rows
 * are in use, or nobody can own it.
 */
unsigned fo_topic_hold_locked(fo_zone_t *z, uint64_t cluster,
    const fo_str_t *name, unsigned slot, fo_mask_t *wake);

void fo_topic_leave_locked(fo_zone_t *z, unsigned row, unsigned slot,
    fo_mask_t *wake);

/* the owner's answer; tells all users */
void fo_topic_answer_locked(fo_zone_t *z, unsigned row, unsigned error,
    uint32_t partitions, uint64_t now, fo_mask_t *wake);

/* the declared partitioner is wrong; tells all users.  0: it was known */
int fo_topic_any_locked(fo_zone_t *z, unsigned row, fo_mask_t *wake);

/* asks the owner to look again: a failure older than FO_TOPIC_NEGATIVE */
void fo_topic_ask_again_locked(fo_zone_t *z, unsigned row, fo_mask_t *wake);

/* frees the row if nobody uses it and no source row is left: 1 if so */
int fo_topic_free_locked(fo_zone_t *z, unsigned row);

/*
 * The owner is gone or leaves: names another one, or frees the row if nobody
 * wants it.  Where nobody else can own it, it stays with one that is still
 * alive; else it has no owner, and this is to be called again.
 */
void fo_topic_pass_locked(fo_zone_t *z, unsigned row, fo_mask_t *wake);

/*
 * Interest of "slot" in one filter of a topic.  "hash" by fo_hash_key() or
 * fo_hash_prefix() with the row's hash; len is that of the prefix as hashed.
 * FO_ERROR: no room, nothing changed.  Remove is called when the last
 * filter with this hash is gone, last_len: with this prefix length.
 */
int fo_topic_want_locked(fo_zone_t *z, unsigned row, unsigned slot,
    fo_filter_kind_e kind, uint64_t hash, size_t len);
void fo_topic_unwant_locked(fo_zone_t *z, unsigned row, unsigned slot,
    fo_filter_kind_e kind, uint64_t hash, size_t len, int last_len);

/* which workers may want a record with this key (NULL: none)?  "hash" is that
   of the key, 0: not known.  Hot. */
void fo_topic_match(const fo_zone_t *z, const fo_topic_row_t *t,
    const fo_str_t *key, uint64_t hash, fo_mask_t *m);

/* the hash of a topic, without a row */
uint64_t fo_topic_hash(const fo_zone_t *z, uint64_t cluster,
    const fo_str_t *name);


#endif /* FO_TOPICS_H */
