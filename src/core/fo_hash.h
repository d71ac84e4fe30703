
/*
 * The keyed 64-bit hash that names topics and filters in every index.  The
 * seed is drawn at random when a zone is made, so that a client can't
 * choose keys that collide.  Prefixes longer than FO_PREFIX_MAX bytes are
 * hashed by their first FO_PREFIX_MAX: they share an entry.
 */


#ifndef FO_HASH_H
#define FO_HASH_H


#include "core/fo_core.h"

#define XXH_INLINE_ALL
#include <xxhash.h>


#define FO_PREFIX_MAX  63


static inline uint64_t
fo_hash(const void *data, size_t len, uint64_t seed)
{
    return XXH3_64bits_withSeed(data, len, seed);
}


/* "topic" is the topic's own hash (of cluster and name); never 0 */

static inline uint64_t
fo_hash_key(uint64_t topic, const u_char *key, size_t len)
{
    return fo_hash(key, len, topic) | 1;
}


/* len <= FO_PREFIX_MAX; never 0, and never equal to that of a key */

static inline uint64_t
fo_hash_prefix(uint64_t topic, const u_char *prefix, size_t len)
{
    return (fo_hash(prefix, len, topic ^ ((len + 1) * 0x9e3779b97f4a7c15ull))
            & ~(uint64_t) 1) | 2;
}


#endif /* FO_HASH_H */
