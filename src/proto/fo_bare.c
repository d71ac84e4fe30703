
/*
 * The dialect "bare": the client is asked for a topic and key, answers with
 * one message "topic/key", and gets two Binary messages a record, the key
 * and the value.  Notices are Text messages that end in a line feed.
 */


#include "core/fo_ws.h"
#include "proto/fo_dialect.h"


static size_t fo_bare_record_len(const fo_record_t *rec);
static void fo_bare_record(const fo_record_t *rec, u_char *frame,
    uint32_t *key);
static size_t fo_bare_event(const fo_event_t *ev, u_char *buf);
static void fo_bare_command(const fo_str_t *msg, unsigned subscribed,
    fo_command_t *cmd, u_char *buf);
static size_t fo_bare_gap(const fo_event_t *ev, u_char *buf);
static size_t fo_bare_end(const fo_event_t *ev, u_char *buf);
static size_t fo_bare_text(u_char *buf, const u_char *text, size_t len);


const fo_dialect_t  fo_bare = {
    fo_str("bare"),
    1,
    fo_str("what topic/key do you want?\n"),
    fo_bare_record_len,
    fo_bare_record,
    fo_bare_event,
    fo_bare_command
};


static size_t
fo_bare_record_len(const fo_record_t *rec)
{
    size_t  key_len, value_len;

    key_len = rec->key ? rec->key_len : 0;
    value_len = rec->value ? rec->value_len : 0;

    return fo_ws_header_len(key_len) + key_len
           + fo_ws_header_len(value_len) + value_len;
}


static void
fo_bare_record(const fo_record_t *rec, u_char *frame, uint32_t *key)
{
    u_char  *p;
    size_t   key_len, value_len;

    key_len = rec->key ? rec->key_len : 0;
    value_len = rec->value ? rec->value_len : 0;

    p = frame;
    p += fo_ws_header(p, FO_WS_BINARY, key_len);

    *key = (uint32_t) (p - frame);

    if (key_len) {
        memcpy(p, rec->key, key_len);
        p += key_len;
    }

    p += fo_ws_header(p, FO_WS_BINARY, value_len);

    if (value_len) {
        memcpy(p, rec->value, value_len);
    }
}


static size_t
fo_bare_event(const fo_event_t *ev, u_char *buf)
{
    switch (ev->type) {

    case FO_EVENT_GAP:
        return fo_bare_gap(ev, buf);

    case FO_EVENT_ERROR:
    case FO_EVENT_END:
        return fo_bare_end(ev, buf);

    default:
        return 0;
    }
}


/* "gap COUNT\n", or "gap\n" if nobody knows how many */

static size_t
fo_bare_gap(const fo_event_t *ev, u_char *buf)
{
    size_t    n, i;
    u_char    text[32];
    u_char    digit[20];
    uint64_t  count;

    memcpy(text, "gap", 3);
    n = 3;

    if (ev->counted) {
        text[n++] = ' ';
        count = ev->count;
        i = 0;

        do {
            digit[i++] = (u_char) ('0' + count % 10);
            count /= 10;
        } while (count);

        while (i) {
            text[n++] = digit[--i];
        }
    }

    text[n++] = '\n';

    return fo_bare_text(buf, text, n);
}


/* the notice, then Close with the error's code */

static size_t
fo_bare_end(const fo_event_t *ev, u_char *buf)
{
    size_t             n;
    u_char             text[128];
    const fo_error_t  *e;

    e = fo_error(ev->error);
    n = 0;

    if (e->text.len && ev->error != FO_ERR_GOING_AWAY) {

        memcpy(text, e->text.data, e->text.len);
        n = e->text.len;

        if (ev->detail.len) {
            memcpy(text + n, ": ", 2);
            n += 2;
            memcpy(text + n, ev->detail.data,
                   fo_min(ev->detail.len, sizeof(text) - n - 1));
            n += fo_min(ev->detail.len, sizeof(text) - n - 1);
        }

        text[n++] = '\n';
        n = fo_bare_text(buf, text, n);
    }

    return n + fo_ws_close(buf + n, e->close, &e->text);
}


static size_t
fo_bare_text(u_char *buf, const u_char *text, size_t len)
{
    size_t  n;

    n = fo_ws_header(buf, FO_WS_TEXT, len);
    memcpy(buf + n, text, len);

    return n + len;
}


/* the first message is the reply; what comes after it is ignored */

static void
fo_bare_command(const fo_str_t *msg, unsigned subscribed, fo_command_t *cmd,
    u_char *buf)
{
    const char  *reason;

    memset(cmd, 0, sizeof(fo_command_t));

    if (subscribed) {
        cmd->type = FO_COMMAND_NONE;
        return;
    }

    if (fo_filter_parse(&cmd->filter, msg, buf, &reason) == FO_OK) {
        cmd->type = FO_COMMAND_SUBSCRIBE;
        return;
    }

    cmd->type = FO_COMMAND_REFUSED;
    cmd->error = FO_ERR_BAD_SUBSCRIPTION;
    cmd->detail.data = (u_char *) reason;
    cmd->detail.len = strlen(reason);
}
