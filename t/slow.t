#!/usr/bin/perl

# Clients that can't keep up, and records that are hard to carry: gaps are
# counted exactly, others are not disturbed, memory stays bounded.

use strict;
use warnings;

use Test::More;
use Test::Fanout;
use Test::Fanout::Kafka;
use Test::Fanout::Status;

my $conf = <<'EOC';
events { worker_connections 2048; }
http {
    fanout_zone   main 32m ring=%%RING%%;
    fanout_linger 500ms;

    fanout_kafka main {
        bootstrap.servers %%BROKERS%%;
        fetch.message.max.bytes 4m;
    }

    server {
        listen 127.0.0.1:%%PORT_1%% sndbuf=64k reuseport;
        fanout_allow subscribe *;

        location /gap        { fanout_websocket; fanout_pending 256k gap; }
        location /disconnect {
            fanout_websocket;
            fanout_pending 256k disconnect;
        }
        location /patient    { fanout_websocket; fanout_pending 256m; }
        location /status     { fanout_status; }
    }
}
EOC

$conf =~ s/fetch\.message\.max\.bytes 4m/fetch.message.max.bytes 4194304/;

my $kafka = Test::Fanout::Kafka->shared;
my ($t, $workers);


sub begin {
    my ($name, $ring) = @_;

    $t = Test::Fanout->new($conf, workers => $workers, name => $name,
                           brokers => $kafka->servers, level => 'notice',
                           vars => { RING => $ring || '1m' });
    return $t->start;
}


# those that stop reading, beside those that read

sub stalled {
    my ($policy) = @_;

    my $count = 60000;
    my $topic = $kafka->create($kafka->unique('slow'), 2);

    begin("$policy, $workers workers");

    my @readers = map {
        $t->load('--path', '/patient', '--filter', $_, '--sessions', 10,
                 '--keys', 8, '--mod', 8, '--first', 0, '--timeout', 100,
                 '--expect-each', $_ eq $topic ? $count : $count / 8)
    } $topic, "$topic/key-%d";

    is($_->line(20), 'ready', 'readers') for @readers;

    my $slow = $t->load('--path', "/$policy", '--filter', $topic,
                        '--sessions', 10, '--stall', 10, '--rcvbuf', 32768,
                        '--keys', 8, '--idle', '--commands',
                        '--timeout', 100);

    is($slow->line(20), 'ready', 'sessions that do not read');
    settled($t, 30);

    $kafka->produce_many($topic, '--count', $count, '--keys', 8,
                         '--size', 200);

    for (@readers) {
        my $figures = $t->figures($_, 100);

        is(broken($figures), '', 'others are not disturbed')
            or diag(explain($figures));
    }

    # they hold no more than what is pending, and a frame in hand

    wait_for(sub { $t->status->{total}{chunk_bytes} < 12 * 2 ** 20 }, 20,
             'memory') if $policy eq 'gap';

    if ($policy eq 'disconnect') {
        my $refused = wait_for(sub {
            return ($t->status->{total}{refused}{too_slow} // 0) >= 10;
        }, 20, 'too slow');

        $slow->say('resume');

        wait_for(sub { $t->status->{total}{sessions} == 0 }, 20,
                 'all are gone');

        my $figures = $t->figures($slow, 60);

        is($figures->{notices}{'too slow'}, 10, 'they are told')
            or diag(explain($figures));
        is($figures->{closes}{1008}, 10, 'the code');
        is($figures->{$_}, 0, $_)
            for qw(lost doubled disorder foreign broken gaps);

    } else {
        $slow->say('resume');

        # one record each key, behind all the others

        my $last = 10 * $count;

        wait_for(sub {
            my $total = $t->status->{total};

            # ten that read all, ten that read an eighth

            return $total->{deliveries} + $total->{gap_records}
                   == $last * 2 + 10 * $count / 8;
        }, 60, 'delivered and missed are all');

        # what was sent is received, too

        wait_for(sub { $t->status->{total}{chunks} == 0 }, 10, 'chunks');
        $kafka->produce($topic, ['--partition', 0],
                        map { ["key-$_", $count / 8 . " 0 0 1000000$_ "] }
                            0 .. 7);
        wait_for(sub {
            my $total = $t->status->{total};
            return $total->{deliveries} + $total->{gap_records}
                   == $last * 2 + 10 * $count / 8 + 80
                   && $total->{chunks} == 0;
        }, 20, 'the last ones');

        $slow->say('stop');

        my $figures = $t->figures($slow, 60);

        is($figures->{deliveries} + $figures->{gap_records},
           10 * ($count + 8), 'delivered and missed are all')
            or diag(explain($figures));
        cmp_ok($figures->{gap_records}, '>', 0, 'some were missed');
        is($figures->{$_}, 0, $_)
            for qw(lost doubled disorder foreign broken closed);

        note("$figures->{gaps} gaps of $figures->{gap_records} records, "
             . "$figures->{deliveries} delivered");
    }

    is(quiet($t), '', 'nothing is left');
    $t->stop;
}


# a small window cuts frames everywhere

sub partial {
    my $topic = $kafka->create($kafka->unique('partial'), 1);

    begin("partial, $workers workers");

    my $load = $t->load('--path', '/patient', '--filter', $topic,
                        '--sessions', 4, '--stall', 4, '--rcvbuf', 2048,
                        '--keys', 4, '--first', 0, '--expect', 1600,
                        '--commands', '--timeout', 60);

    is($load->line(20), 'ready', 'sessions');
    settled($t, 4);

    $kafka->produce_many($topic, '--count', 400, '--keys', 4,
                         '--size', 20000);
    wait_for(sub { $t->status->{total}{writes_partial} > 0 }, 10, 'cuts');
    $load->say('resume');

    my $figures = $t->figures($load, 60);

    is(broken($figures), '', 'every frame is whole')
        or diag(explain($figures));

    $t->stop;
}


# a megabyte goes through a ring that takes it, and is a gap where none does

sub large {
    my $topic = $kafka->create($kafka->unique('large'), 1,
                               'max.message.bytes' => 4000000);
    my @x = ('-X', 'message.max.bytes=4000000', '--partition', 0);

    begin("large records, $workers workers", '2m');

    my $n = 4 * $workers;
    my @ws = map { $t->subscribe("$topic/k", path => '/patient') } 1 .. $n;

    settled($t, $n);

    my $max = $t->status->{zone}{record_max};
    my $fits = 'x' x ($max - 1000);
    my $not = 'y' x ($max + 1);

    $kafka->produce($topic, \@x, ['k', $fits], ['k', 'small'], ['k', $not],
                    ['other', $not], ['k', 'end']);

    my ($skipped, $wrong) = (0, 0);

    for my $ws (@ws) {
        my ($gaps, @values) = ('');

        while (!@values || $values[-1] ne 'end') {
            my $frame = $ws->read_message or last;

            if ($frame->{opcode} == 1) {
                $gaps .= $frame->{payload};
            } else {
                push @values, $ws->read_message->{payload};
            }
        }

        # the owner's own sessions need no ring

        $skipped++ if @values == 3;

        my @want = ($fits, 'small', @values == 3 ? () : $not, 'end');

        $wrong++ if join("\n", @values) ne join("\n", @want)
                    || $gaps ne (@values == 3 ? "gap 1\n" : '');
    }

    is($wrong, 0, 'each came, or a gap of one');

    my $total = $t->status->{total};

    is($total->{gap_records}, $skipped, 'gaps are counted');
    is($skipped ? 1 : 0, $workers > 1 ? 1 : 0, 'over the ring only');
    is($total->{oversized} ? 1 : 0, $workers > 1 ? 1 : 0, 'counted');

    # many at once fill the ring over and over

    $kafka->produce($topic, \@x, map { ['k', "$_ " . 'z' x 300000] }
                                 1 .. 40);

    for my $ws (@ws) {
        for my $i (1 .. 40) {
            my ($key, $value) = $ws->read_pair;
            $wrong++ if $value ne "$i " . 'z' x 300000;
        }
    }

    is($wrong, 0, 'large ones in their order');
    is($t->status->{total}{lapses}, 0, 'no reader has lapsed');

    $_->close for @ws;
    is(quiet($t), '', 'nothing is left');
    $t->stop;
}


for (few_workers()) {
    $workers = $_;

    subtest "gap, $workers workers" => sub { stalled('gap') };
    subtest "disconnect, $workers workers" => sub { stalled('disconnect') };
    subtest "partial writes, $workers workers" => \&partial;
    subtest "large records, $workers workers" => \&large;
}

done_testing();
