
/*
 * Batches that can't be read: damaged on a broker's disk, or compressed in
 * a way that this librdkafka does not know.  It asks for such a batch again
 * and again, so we have to pass over it, and it does not say where it ends.
 *
 * A fetch from any offset inside the batch brings the same error, with the
 * offset of the batch's beginning, or one that is inside.  If it comes twice,
 * the end is searched: away from "bad", which is inside, in steps that
 * double, until something can be read at "good", or it is behind the end of
 * the log; then between the two.
 *
 *     | batch                      | next
 *       bad  +1  +2      +4             +8
 *                        bad            good
 *                             bad       good
 *                                  good
 *
 * Reading goes on at "good" when it is next to "bad", and who listens is
 * told of a gap.
 */


#include "source/ngx_http_fanout_kafka_int.h"


static void ngx_http_fanout_kafka_skip_to(ngx_http_fanout_kafka_t *k,
    ngx_http_fanout_kafka_part_t *part);


void
ngx_http_fanout_kafka_skip(ngx_http_fanout_kafka_t *k,
    ngx_http_fanout_kafka_part_t *part, int64_t offset)
{
    int64_t  bad;

    bad = ngx_max(part->next, offset);

    if (part->step && offset <= part->next) {
        part->step *= 2;

    } else if (part->bad == bad) {
        part->step = 1;
        part->good = -1;

    } else {

        /* perhaps it was damaged on its way */

        part->step = 0;
        part->bad = bad;

        ngx_http_fanout_kafka_again(k, part, NGX_HTTP_FANOUT_KAFKA_RETRY);
        return;
    }

    part->bad = bad;
    part->missed = 1;

    ngx_http_fanout_kafka_skip_to(k, part);
}


ngx_int_t
ngx_http_fanout_kafka_skipped(ngx_http_fanout_kafka_t *k,
    ngx_http_fanout_kafka_part_t *part)
{
    if (part->next - part->bad <= 1) {
        part->step = 0;
        return NGX_OK;
    }

    part->good = part->next;

    ngx_http_fanout_kafka_skip_to(k, part);

    return NGX_AGAIN;
}


static void
ngx_http_fanout_kafka_skip_to(ngx_http_fanout_kafka_t *k,
    ngx_http_fanout_kafka_part_t *part)
{
    if (part->good == -1) {
        part->next = part->bad + part->step;

    } else {
        part->next = ngx_max(part->bad + 1, (part->bad + part->good) / 2);
    }

    ngx_http_fanout_kafka_again(k, part, 0);
}
