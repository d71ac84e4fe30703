
/*
 * What a websocket peer sends: frames become messages, messages commands.
 *
 * Nothing here finalizes the request: what fails is marked, and the handler
 * that called sees to it.
 */


#include "http/ngx_http_fanout_ws.h"


static void ngx_http_fanout_ws_data(ngx_http_fanout_ws_t *ws,
    fo_ws_event_t *ev);
static ngx_int_t ngx_http_fanout_ws_keep(ngx_http_fanout_ws_t *ws,
    fo_ws_event_t *ev);
static void ngx_http_fanout_ws_message(ngx_http_fanout_ws_t *ws,
    unsigned opcode, fo_str_t *msg);
static void ngx_http_fanout_ws_echo(ngx_http_fanout_ws_t *ws,
    unsigned opcode, fo_str_t *msg);
static void ngx_http_fanout_ws_command(ngx_http_fanout_ws_t *ws,
    fo_str_t *msg);


void
ngx_http_fanout_ws_input(ngx_http_fanout_ws_t *ws, u_char *p, u_char *last)
{
    u_char          frame[FO_WS_HEADER_MAX + FO_WS_CONTROL_MAX];
    size_t          n;
    fo_ws_event_t   ev;

    while (!ws->closed && !ws->failed) {

        switch (fo_ws_parse(&ws->parser, &p, last, &ev)) {

        case FO_WS_EV_NONE:
            return;

        case FO_WS_EV_DATA:
            if (!ws->closing) {
                ngx_http_fanout_ws_data(ws, &ev);
            }

            break;

        case FO_WS_EV_ROOM:
            ws->parser.control = ngx_alloc(FO_WS_CONTROL_MAX,
                                           ws->client.connection->log);
            if (ws->parser.control == NULL) {
                ws->failed = 1;
            }

            break;

        case FO_WS_EV_PING:
            if (!ws->closing) {
                n = fo_ws_header(frame, FO_WS_PONG, ev.data.len);
                ngx_memcpy(frame + n, ev.data.data, ev.data.len);
                (void) fo_session_say(&ws->session, frame,
                                      n + ev.data.len);
            }

            ngx_http_fanout_ws_control_free(ws);
            break;

        case FO_WS_EV_PONG:
            ngx_http_fanout_ws_control_free(ws);
            break;

        case FO_WS_EV_CLOSE:
            ws->closed = 1;
            ngx_http_fanout_ws_close(ws, ev.code == FO_WS_NO_STATUS
                                         ? 0 : ev.code, "");
            return;

        default: /* FO_WS_EV_ERROR */
            ngx_log_error(NGX_LOG_INFO, ws->client.connection->log, 0,
                          "bad websocket frame: %s", ev.reason);
            ws->closed = 1;
            ngx_http_fanout_ws_close(ws, ev.code, ev.reason);
            return;
        }
    }
}


void
ngx_http_fanout_ws_control_free(ngx_http_fanout_ws_t *ws)
{
    if (ws->parser.control) {
        ngx_free(ws->parser.control);
        ws->parser.control = NULL;
    }
}


static void
ngx_http_fanout_ws_data(ngx_http_fanout_ws_t *ws, fo_ws_event_t *ev)
{
    fo_str_t  msg;

    if (ws->dialect->command && ws->subscribed && ws->length == 0) {

        /* nothing more is asked from this client */

        if (ev->fin) {
            fo_stat_add(fo_hub_stats(ws->session.hub),
                        FO_STAT_INPUT_IGNORED, 1);
        }

        return;
    }

    if (ev->fin && ws->length == 0) {
        ngx_http_fanout_ws_message(ws, ev->opcode, &ev->data);
        return;
    }

    if (ngx_http_fanout_ws_keep(ws, ev) != NGX_OK) {
        ws->failed = 1;
        return;
    }

    if (!ev->fin) {
        return;
    }

    msg.data = ws->message;
    msg.len = ws->length;
    ws->length = 0;

    ngx_http_fanout_ws_message(ws, ev->opcode, &msg);

    if (ws->message) {
        ngx_free(ws->message);
        ws->message = NULL;
        ws->size = 0;
    }
}


/* a piece of an unfinished message; the parser holds to frame_max */

static ngx_int_t
ngx_http_fanout_ws_keep(ngx_http_fanout_ws_t *ws, fo_ws_event_t *ev)
{
    size_t   size;
    u_char  *p;

    if (ws->length + ev->data.len > ws->size) {

        size = ngx_max(ws->size, 256);

        /* fanout_frame_max is at most 1024m */

        while (size < ws->length + ev->data.len) {
            size *= 2;
        }

        p = ngx_alloc(size, ws->client.connection->log);
        if (p == NULL) {
            return NGX_ERROR;
        }

        if (ws->message) {
            ngx_memcpy(p, ws->message, ws->length);
            ngx_free(ws->message);
        }

        ws->message = p;
        ws->size = (uint32_t) size;
    }

    if (ev->data.len) {
        ngx_memcpy(ws->message + ws->length, ev->data.data, ev->data.len);
        ws->length += (uint32_t) ev->data.len;
    }

    return NGX_OK;
}


static void
ngx_http_fanout_ws_message(ngx_http_fanout_ws_t *ws, unsigned opcode,
    fo_str_t *msg)
{
    if (ws->dialect->command) {
        ngx_http_fanout_ws_command(ws, msg);
    } else {
        ngx_http_fanout_ws_echo(ws, opcode, msg);
    }
}


static void
ngx_http_fanout_ws_echo(ngx_http_fanout_ws_t *ws, unsigned opcode,
    fo_str_t *msg)
{
    ngx_http_fanout_ws_say(ws, opcode, msg);
}


static void
ngx_http_fanout_ws_command(ngx_http_fanout_ws_t *ws, fo_str_t *msg)
{
    u_char            *buf;
    fo_str_t           detail;
    fo_command_t       cmd;

    buf = NULL;

    if (msg->len <= FO_FILTER_MAX) {
        buf = ngx_alloc(msg->len + 1, ws->client.connection->log);
        if (buf == NULL) {
            ws->failed = 1;
            return;
        }

        ws->dialect->command(msg, ws->subscribed, &cmd, buf);

    } else {
        cmd.type = FO_COMMAND_REFUSED;
        cmd.error = FO_ERR_BAD_SUBSCRIPTION;
        detail.data = (u_char *) "too long";
        detail.len = sizeof("too long") - 1;
        cmd.detail = detail;
    }

    ws->subscribed = 1;
    ngx_http_fanout_timer_set(&ws->client, ws->conf->ping_interval);

    if (cmd.type == FO_COMMAND_SUBSCRIBE) {
        ngx_http_fanout_ws_subscribe(ws, &cmd.filter);

    } else if (cmd.type == FO_COMMAND_REFUSED) {
        ngx_http_fanout_ws_fail(ws, cmd.error, &cmd.detail);
    }

    if (buf) {
        ngx_free(buf);
    }
}
