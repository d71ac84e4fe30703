#!/usr/bin/perl

# The status: one JSON for all workers, from any of them, whose counters add
# up; and how long a subscribe takes.

use strict;
use warnings;

use Test::More;
use Time::HiRes ();
use Test::Fanout;
use Test::Fanout::Kafka;
use Test::Fanout::Status;

my $conf = <<'EOC';
events { worker_connections 8192; }
http {
    fanout_zone   main 32m;
    fanout_linger 200ms;
    fanout_kafka  main { bootstrap.servers %%BROKERS%%; }
    server {
        listen 127.0.0.1:%%PORT_1%% backlog=8192 reuseport;
        location /ws     { fanout_websocket; fanout_allow subscribe *; }
        location /status { fanout_status; }
    }
}
EOC

my $kafka = Test::Fanout::Kafka->shared;
my $t;


# the total is the sum over the workers, for every counter
sub adds_up {
    my ($status) = @_;

    my @bad;

    for my $name (sort keys %{ $status->{total} }) {
        my $total = $status->{total}{$name};
        my @each = map { $_->{$name} } @{ $status->{workers} };

        if (ref $total eq 'HASH') {
            for my $reason (keys %$total) {
                my $sum = 0;
                $sum += $_->{$reason} for @each;
                push @bad, "$name.$reason" if $sum != $total->{$reason};
            }

        } elsif (ref $total eq 'ARRAY') {
            for my $i (0 .. $#$total) {
                my $sum = 0;
                $sum += $_->[$i]{n} for @each;
                push @bad, "$name $i" if $sum != $total->[$i]{n};
            }

        } else {
            my $sum = 0;
            $sum += $_ for @each;
            push @bad, $name if $sum != $total;
        }
    }

    return "@bad";
}


sub counters {
    my ($workers) = @_;

    my $topic = $kafka->create($kafka->unique('status'), 4);

    $t = Test::Fanout->new($conf, brokers => $kafka->servers,
                           workers => $workers,
                           name => "nginx of $workers")->start;

    my $answer = $t->get('/status');

    is($answer->{status}, 200, 'status');
    is($answer->{headers}{'content-type'}, 'application/json', 'its type');
    is($t->get('/status', method => 'POST')->{status}, 405, 'no POST');

    my $status = $t->status;

    is(scalar @{ $status->{workers} }, $workers, 'each worker');
    is(leftovers($status), '', 'nothing yet');
    is_deeply([sort map { $_->{pid} } @{ $status->{workers} }],
              [sort $t->worker_pids], 'their pids');

    my $load = $t->load('--filter', "$topic/key-%d", '--sessions', 40,
                        '--mod', 20, '--first', 0, '--keys', 20,
                        '--idle', '--commands');

    is($load->line(20), 'ready', 'sessions');
    settled($t, 40);

    $kafka->produce_many($topic, '--count', 1000, '--keys', 20);
    wait_for(sub { $t->status->{total}{deliveries} == 2000 }, 10,
             'deliveries');
    is(caught_up($t, $kafka, $topic), '', 'sources are at the end');

    $status = $t->status;
    my $total = $status->{total};

    is(adds_up($status), '', 'the total is the sum of the workers');
    is($total->{sessions}, 40, 'sessions');
    is($total->{subscriptions}, 40, 'subscriptions');
    is($total->{records}, 1000, 'each record once');
    is($total->{records_matched}, 1000, 'all wanted');
    cmp_ok($total->{frames}, '<=', 1000 * $workers,
           'a frame a record and worker at most');
    cmp_ok($total->{writes}, '<=', 2000 + 40, 'no more writes than frames');
    is($total->{gaps} + $total->{lapses} + $total->{oversized}, 0, 'calm');
    is($status->{zone}{entries}, 20, 'an entry a filter');

    my $records = 0;

    for my $source (@{ $status->{sources} }) {
        $records += $source->{records};
        is($source->{topic}, $topic, 'source');
        is($source->{state}, 'running', 'its state');
        cmp_ok($source->{demand}, '<=', $workers, 'its demand');
        ok((grep { $_->{slot} == $source->{owner} }
                 @{ $status->{workers} }), 'its owner');
    }

    is($records, 1000, 'the sources add up');

    my ($row) = @{ $status->{topics} };

    is($row->{topic}, $topic, 'topic');
    is($row->{partitions}, 4, 'its partitions');
    ok((grep { $_->{up} } map { @{ $_->{kafka} } }
             @{ $status->{workers} }), 'Kafka is up');

    $load->say('stop');

    my $figures = $t->figures($load);

    is(broken($figures), '', 'each came once') or diag(explain($figures));
    is(quiet($t), '', 'nothing is left');
    $t->stop;
}


# [milliseconds] below which half of the subscribes since "before" were
# served
sub median {
    my ($before, $after) = @_;

    my @n = map { $after->[$_]{n} - $before->[$_]{n} } 0 .. $#$after;
    my ($all, $sum) = (0, 0);

    $all += $_ for @n;

    for my $i (0 .. $#n) {
        $sum += $n[$i];
        return $after->[$i]{le} // 'inf' if $sum * 2 >= $all;
    }
}


sub latency {
    my ($workers) = @_;

    my $topic = $kafka->create($kafka->unique('latency'), 12);

    $t = Test::Fanout->new($conf, brokers => $kafka->servers,
                           workers => $workers, level => 'notice',
                           name => "latency with $workers")->start;

    # the cluster is known and somebody listens

    my $first = $t->subscribe("$topic/first");
    my ($before, $n) = (settled($t, 1), 1);

    # once is enough: others may have kept the machine busy

    my $median;

    for my $try (1 .. 5) {
        $before = $t->status->{total}{subscribe_ms};

        for (1 .. 50) {
            my $ws = $t->subscribe("$topic/key-$_");
            wait_for(sub { served($t->status) > $n }, 10, 'served');
            $n++;
            $ws->close;
        }

        $median = median($before, $t->status->{total}{subscribe_ms});
        last if $median <= 20;
    }

    cmp_ok($median, '<=', 20, "running: half within $median ms");

    # the partitions have to be started

    my @cold;

    $first->close;
    is(quiet($t), '', 'nothing is left');

    for my $i (1 .. 9) {
        $before = $t->status->{total}{subscribe_ms};

        my $ws = $t->subscribe("$topic/cold-$i");
        wait_for(sub { served($t->status) > $n }, 10, 'served');
        $n++;
        push @cold, median($before, $t->status->{total}{subscribe_ms});
        $ws->close;
        is(quiet($t), '', 'nothing is left');
    }

    note("$workers workers: running $median ms, starting @cold ms");
    cmp_ok((sort { $a <=> $b } @cold)[2], '<=', 200, 'starting');

    $t->stop;
}


# many at once, then idle

sub storm {
    my ($workers) = @_;

    my $many = flavor() eq 'asan' ? 1000 : 5000;
    my $topic = $kafka->create($kafka->unique('storm'), 12);

    $t = Test::Fanout->new($conf, brokers => $kafka->servers,
                           workers => $workers, level => 'notice',
                           name => "storm with $workers")->start;

    my $begin = Time::HiRes::time();
    my $load = $t->load('--filter', "$topic/key-%d", '--sessions', $many,
                        '--mod', $many, '--keys', $many, '--idle',
                        '--commands');

    is($load->line(60), 'ready', "$many sessions at once");
    my $status = settled($t, $many);
    my $took = Time::HiRes::time() - $begin;
    my $median = median([map { { n => 0 } } 1 .. 13],
                        $status->{total}{subscribe_ms});

    note(sprintf '%d workers: %d subscribed in %.2f s, half within %s ms',
         $workers, $many, $took, $median);

    # nothing to do: no CPU

    my @pids = $t->worker_pids;
    my $before = 0;
    my $second = Time::HiRes::time();

    $before += cpu_seconds($_) for @pids;
    wait_for(sub { Time::HiRes::time() > $second + 3 }, 5, 'time');

    my $used = -$before;
    $used += cpu_seconds($_) for @pids;
    $used = $used / (Time::HiRes::time() - $second) / $workers;

    note(sprintf '%d workers idle: %.2f %% of a CPU each', $workers,
         100 * $used);
    cmp_ok($used, '<', 0.1, 'idle');

    $load->say('stop');
    is(broken($t->figures($load)), '', 'all stayed');
    is(quiet($t), '', 'nothing is left');
    $t->stop;
}


for my $workers (few_workers()) {
    subtest "counters, $workers workers" => sub { counters($workers) };
    subtest "latency, $workers workers" => sub { latency($workers) };
    subtest "a storm, $workers workers" => sub { storm($workers) };
}

done_testing();
