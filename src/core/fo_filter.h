
/*
 * A filter says which records of Kafka a subscription wants: a topic with
 * everything in it, with one exact key, or with every key of one prefix.
 *
 * Grammar of the text form (at most FO_FILTER_MAX bytes):
 *
 *     topic               everything
 *     topic/ *            everything (without the blank)
 *     topic/key           the records whose key is "key"
 *     topic/              the records whose key is empty (not: no key)
 *     topic/prefix*       the records whose key begins with "prefix"
 *
 * In both parts %XX is the byte XX; a literal "*", "/" or "%" in a key must
 * be written so.  "*" elsewhere than as the last byte, a second "/", a bad
 * "%XX" and an empty topic are errors.  In the topic only Kafka's legal
 * bytes are allowed after decoding ([a-zA-Z0-9._-], at most 249, neither
 * "." nor ".."), which every topic of Kafka meets (Topic.validate there);
 * "@" is allowed as the first byte: so begin the names of timers.
 *
 * A record without a key (null) is matched by "everything" only.
 */


#ifndef FO_FILTER_H
#define FO_FILTER_H


#include "core/fo_core.h"


#define FO_FILTER_MAX  1024
#define FO_TOPIC_MAX   249


typedef enum {
    FO_FILTER_ALL = 0,
    FO_FILTER_KEY,
    FO_FILTER_PREFIX
} fo_filter_kind_e;


/* the canonical form: kind and decoded bytes; ALL has an empty key */

typedef struct {
    fo_filter_kind_e   kind;
    fo_str_t           topic;
    fo_str_t           key;
} fo_filter_t;


/*
 * Parses "text" into "f".  The decoded bytes are written to "buf", which
 * must hold text->len bytes and live as long as f; nothing is allocated.
 * "prefix*" with an empty prefix is ALL.
 * FO_ERROR: *reason says what is wrong (a static text).
 */
int fo_filter_parse(fo_filter_t *f, const fo_str_t *text, u_char *buf,
    const char **reason);

/*
 * Writes the text form, printable ASCII; parsing it gives f again, unless
 * encoding has made it longer than FO_FILTER_MAX.  "buf" must hold
 * fo_filter_text_len(f) bytes.  Returns the number of bytes written.
 */
size_t fo_filter_text(const fo_filter_t *f, u_char *buf);
size_t fo_filter_text_len(const fo_filter_t *f);

/* does a record of f's topic with this key (NULL: no key) match? */
int fo_filter_match(const fo_filter_t *f, const fo_str_t *key);

int fo_filter_equal(const fo_filter_t *a, const fo_filter_t *b);

/*
 * Is every record that "f" can select also selected by "by"?  Used for
 * access, where "by" is what is allowed.  (That "*" alone allows
 * everything is the caller's rule, not a filter.)
 */
int fo_filter_covers(const fo_filter_t *by, const fo_filter_t *f);

/*
 * Percent-encodes one part of a text so that parsing gives "in" again
 * ("*", "/", "%", bytes up to 0x20 and from 0x7f).  "out" must hold
 * 3 * in->len bytes.  Returns the number of bytes written.  So a variable's
 * value becomes literal key bytes.
 */
size_t fo_filter_escape(u_char *out, const fo_str_t *in);


#endif /* FO_FILTER_H */
