#!/usr/bin/perl

# The bare dialect, with the smallest configuration: prompt, reply, two
# Binary frames a record, and what each wrong reply is told.

use strict;
use warnings;

use Test::More;
use Test::Fanout;
use Test::Fanout::Broker;
use Test::Fanout::Kafka;
use Test::Fanout::Status;

my $conf = <<'EOC';
events {}
http {
    fanout_zone  main 64m;
    fanout_kafka main { bootstrap.servers %%BROKERS%%; }
    server {
        listen 127.0.0.1:%%PORT_1%%;
        location /ws     { fanout_websocket bare; fanout_allow subscribe *; }
        location /status { fanout_status; }
    }
}
EOC

my ($t, $cluster, $topic, $subscriptions);


# one more subscriber, served
sub reader {
    my ($filter, %o) = @_;

    my $ws = $t->subscribe($filter, %o);

    settled($t, ++$subscriptions);

    return $ws;
}


sub pairs {
    my ($ws, $n) = @_;

    return [map { [$ws->read_pair] } 1 .. $n];
}


sub sorted {
    my ($pairs) = @_;

    return [sort { "@$a" cmp "@$b" } @$pairs];
}


sub conversation {
    my $ws = $t->ws('/ws');

    is_deeply($ws->read_frame,
              { fin => 1, rsv => 0, opcode => 1, masked => 0,
                payload => "what topic/key do you want?\n" }, 'the prompt');

    $ws->binary("$topic/dave");
    $subscriptions++;
    settled($t, $subscriptions);

    my $text = reader("$topic/dave");
    my $all = reader("$topic/*", binary => 1);
    my $topic_only = reader($topic);
    my $empty = reader("$topic/");
    my $prefix = reader("$topic/da*", binary => 1);
    my $encoded = reader("$topic/%2a%2F%25%00%ff");
    my $raw = reader("$topic/gr\xc3\xbc\xdf e", binary => 1);

    my @records = (['dave', 'one'], ['bob', 'two'], ['dave', undef],
                   [undef, 'three'], ['', 'four'], ['da', ''],
                   ["*/%\x00\xff", 'five'], ["gr\xc3\xbc\xdf e", 'six'],
                   ['dave', "\x00\xff" x 70000]);

    $cluster->produce($topic, @records);

    # nulls are empty frames

    my @as_read = map { [map { $_ // '' } @$_] } @records;

    for (['a Binary reply', $ws], ['a Text reply', $text]) {
        is_deeply(pairs($_->[1], 3), [@as_read[0, 2, 8]], $_->[0]);
    }

    is_deeply(sorted(pairs($all, 9)), sorted(\@as_read), 'topic/*');
    is_deeply(sorted(pairs($topic_only, 9)), sorted(\@as_read), 'topic');
    is_deeply(pairs($empty, 1), [$as_read[4]], 'the empty key, not null');
    is_deeply(sorted(pairs($prefix, 4)), sorted([@as_read[0, 2, 5, 8]]),
              'a prefix');
    is_deeply(pairs($encoded, 1), [$as_read[6]], 'a key percent-encoded');
    is_deeply(pairs($raw, 1), [$as_read[7]], 'a Binary key of any bytes');

    # what comes after the reply is ignored, and counted

    $ws->text("$topic/bob");
    $ws->binary('x' x 1000);

    wait_for(sub { $t->status->{total}{input_ignored} == 2 }, 10,
             'ignored input');

    $cluster->produce($topic, ['bob', 'not for dave'], ['dave', 'last']);

    is_deeply(pairs($ws, 1), [['dave', 'last']], 'data after the reply');

    my $answer = $ws->close;

    is($answer, 1000, 'Close is answered');
    is_deeply(pairs($text, 1), [['dave', 'last']], 'another one goes on');

    # one that goes without a word

    $_->abort for $text, $all, $topic_only, $empty, $prefix, $encoded, $raw;

    $subscriptions = 0;
    wait_for(sub { $t->status->{total}{sessions} == 0 }, 10, 'no session');
}


sub wrong_replies {
    my $long = "$topic/" . 'x' x 1024;

    my @cases = (
        ["a second slash", "$topic/a/b", 'second "/"'],
        ['a star inside', "$topic/a*b", undef],
        ['a star at the beginning', "$topic/*a", undef],
        ['two stars', "$topic/**", undef],
        ['a bad percent', "$topic/%4", undef],
        ['not hexadecimal', "$topic/%zz", undef],
        ['no topic', '/dave', undef],
        ['nothing', '', undef],
        ['a topic that Kafka forbids', 'in coming/dave', undef],
        ['a star as topic', '*', undef],
        ['dots', '..', undef],
        ['too long', $long, undef],
    );

    for (@cases) {
        my ($name, $reply, $reason) = @$_;

        for my $binary (0, 1) {
            my $ws = $t->subscribe($reply, binary => $binary);
            my $said = $ws->read_described;

            like($said, qr/^text: bad subscription: [^\n]+\n\z/,
                 "$name, binary $binary");
            is($said, "text: bad subscription: $reason\n", 'its words')
                if defined $reason;

            is(($ws->read_close)[0], 1008, 'its code');
            ok($ws->read_end, 'the end');
        }
    }

    my $ws = $t->subscribe("$topic/\xff");

    is(($ws->read_close)[0], 1007, 'Text that is no UTF-8');

    my $status = $t->status;

    is($status->{total}{refused}{bad_subscription}, 2 * @cases, 'counted');
    sessions_are($t, 0, 'none is left');
}


# the longest reply
sub limits {
    my $filter = "$topic/" . 'k' x (1024 - 1 - length $topic);
    my $ws = reader($filter);

    $cluster->produce($topic, [substr($filter, 1 + length $topic), 'v']);

    is(($ws->read_pair)[1], 'v', '1,024 bytes are not too long');
    $ws->close;

    # cut into frames and bytes

    $ws = $t->ws('/ws');
    $ws->read_message;

    my $bytes = $ws->frame(opcode => 1, fin => 0, payload => "$topic/d")
                . $ws->frame(opcode => 9, payload => 'ping')
                . $ws->frame(opcode => 0, payload => 'ave');

    $ws->write($bytes, 1 .. length($bytes) - 1);
    settled($t, 1, served($t->status) - 1);

    $cluster->produce($topic, ['dave', 'v']);

    is_deeply([$ws->read_pair], ['dave', 'v'], 'a reply byte by byte');
    $ws->close;
}


for (['Kafka', Test::Fanout::Kafka->shared],
     ['embedded', Test::Fanout::Broker->new])
{
    my $kind = $_->[0];

    $cluster = $_->[1];

    for my $workers (workers()) {
        $topic = $cluster->create($cluster->unique('incoming'), 4);
        $subscriptions = 0;

        $t = Test::Fanout->new($conf, brokers => $cluster->servers,
                               workers => $workers,
                               name => "$kind, $workers workers")->start;

        subtest "$kind, $workers workers: a conversation" => \&conversation;
        subtest "$kind, $workers workers: wrong replies" => \&wrong_replies;
        subtest "$kind, $workers workers: limits" => \&limits;

        $t->stop;
    }
}

done_testing();
