#!/usr/bin/perl

# Every session gets each record of its filter exactly once, in the order of
# its partition, and no other: many sessions over the workers, on keys, on
# prefixes and on whole topics, with everything the log may hold.

use strict;
use warnings;

use Test::More;
use Time::HiRes qw(time);
use Test::Fanout;
use Test::Fanout::Kafka;
use Test::Fanout::Status;

my $conf = <<'EOC';
worker_rlimit_nofile 8192;
events { worker_connections 4096; }
http {
    fanout_zone   main 64m;
    fanout_linger 300ms;
    fanout_kafka  main { bootstrap.servers %%BROKERS%%; }
    server {
        listen 127.0.0.1:%%PORT_1%% backlog=4096 %%LISTEN%%;
        fanout_pending 64m;
        location /ws     { fanout_websocket; fanout_allow subscribe *; }
        location /status { fanout_status; }
    }
}
EOC

my $kafka = Test::Fanout::Kafka->shared;
my $small = flavor() eq 'asan';
my $t;


sub begin {
    my ($name, $workers) = @_;

    $t = Test::Fanout->new($conf, brokers => $kafka->servers, name => $name,
                           workers => $workers, level => 'notice',
                           vars => { LISTEN => 'reuseport' });
    return $t->start;
}


# groups of sessions, [filter, how many, modulo, records each]; all served
sub sessions {
    my ($topic, $keys, $options, @groups) = @_;

    my ($n, @loads) = (0);

    for (@groups) {
        my ($filter, $sessions, $mod, $each) = @$_;

        my $load = $t->load('--filter', "$topic$filter",
                            '--sessions', $sessions, '--mod', $mod,
                            '--keys', $keys, '--expect-each', $each,
                            '--timeout', 150, @$options);

        is($load->line(60), 'ready', "$sessions sessions of \"$filter\"");
        push @loads, $load;
        $n += $sessions;
    }

    settled($t, $n);

    return @loads;
}


sub all_came {
    my ($name, $count, $groups, @loads) = @_;

    my ($deliveries, $slowest) = (0, 0);

    for my $i (0 .. $#loads) {
        my $figures = $t->figures($loads[$i], 180);
        my ($filter, $sessions, $mod, $each) = @{ $groups->[$i] };

        is(broken($figures), '', "$name, \"$filter\": each exactly once")
            or diag(explain($figures));
        is("$figures->{min} $figures->{max}", "$each $each",
           "$each records each");

        $deliveries += $figures->{deliveries};
        $slowest = $figures->{receiving} if $figures->{receiving} > $slowest;
    }

    my $total = $t->status->{total};

    is($total->{gaps}, 0, 'no gap');

    note(sprintf '%s: %d records, %d deliveries in %.1f s, %d/s',
         $name, $count, $deliveries, $slowest, $deliveries / $slowest);

    is(quiet($t), '', 'nothing is left');
}


# many: 200 keys and whole topics of 12 partitions

sub many {
    my ($workers) = @_;

    my $count = $small ? 20000 : 200000;
    my $topic = $kafka->create($kafka->unique('exact'), 12);

    begin("many, $workers workers", $workers);

    my @groups = (['/key-%d', 800, 200, $count / 200],
                  ['/key-1%d*', 100, 10, $count / 200 * 11],
                  ['/*', $small ? 20 : 50, 1, $count],
                  ['', $small ? 20 : 50, 1, $count]);

    my @loads = sessions($topic, 200, ['--first', 0], @groups);

    my @owners = map { $_->{owner} } @{ $t->status->{sources} };

    is(scalar @owners, 12, 'each partition is read once');

    my $figures = $kafka->produce_many($topic, '--count', $count,
                                       '--keys', 200, '--size', 100);

    is($figures->{acked}, $count, 'records were produced');

    all_came("many, $workers workers", $count, \@groups, @loads);

    $t->stop;
}


# at a pace, so that fetches are small and workers sleep between

sub paced {
    my ($workers) = @_;

    my $count = 4000;
    my $topic = $kafka->create($kafka->unique('paced'), 4);

    begin("paced, $workers workers", $workers);

    my @groups = (['/key-%d', 100, 50, $count / 50],
                  ['/*', 20, 1, $count]);

    my @loads = sessions($topic, 50, ['--first', 0], @groups);

    $kafka->produce_many($topic, '--count', $count, '--keys', 50,
                         '--rate', 2000);

    all_came("paced, $workers workers", $count, \@groups, @loads);

    $t->stop;
}


# some transactions are aborted: none of their records comes

sub transactions {
    my ($workers) = @_;

    my $count = $small ? 3000 : 12000;
    my $topic = $kafka->create($kafka->unique('txn'), 3);

    begin("transactions, $workers workers", $workers);

    my @groups = (['/key-%d', 60, 30, $count / 30], ['/*', 20, 1, $count]);
    my @loads = sessions($topic, 30, ['--first', 0], @groups);

    my $figures = $kafka->produce_many($topic, '--count', $count,
                                       '--keys', 30, '--txn', 100,
                                       '--abort', 5);

    cmp_ok($figures->{acked}, '>', $count, 'and some were aborted');

    # the last markers are reached, too

    is(caught_up($t, $kafka, $topic), '',
       'the next offset is behind the markers');

    all_came("transactions, $workers workers", $count, \@groups, @loads);

    $t->stop;
}


# a compacted topic: what comes after the start may have holes, for a
# consumer that is behind; nothing comes twice or in disorder

sub compacted {
    my ($workers) = @_;

    my $count = $small ? 4000 : 20000;
    my $topic = $kafka->create($kafka->unique('compact'), 3,
                               'cleanup.policy' => 'compact',
                               'segment.ms' => 100,
                               'min.cleanable.dirty.ratio' => 0.01,
                               'max.compaction.lag.ms' => 100,
                               'delete.retention.ms' => 100);

    # holes from the first offset on

    $kafka->produce_many($topic, '--count', $count, '--keys', 20);

    begin("compacted, $workers workers", $workers);

    my $load = $t->load('--filter', "$topic/key-%d", '--sessions', 100,
                        '--mod', 20, '--holes', '--keys', 20, '--idle',
                        '--commands', '--timeout', 100);
    my $whole = $t->load('--filter', $topic, '--sessions', 20, '--holes',
                         '--keys', 20, '--idle', '--commands',
                         '--timeout', 100);

    is($_->line(30), 'ready', 'sessions') for $load, $whole;
    settled($t, 120);

    $kafka->produce_many($topic, '--count', $count, '--keys', 20,
                         '--first', $count / 20, '--rate', 5000);

    is(caught_up($t, $kafka, $topic), '', 'all is read');

    my $end = $t->subscribe("$topic/*");

    settled($t, 121);
    $kafka->produce($topic, map { ['end', $_] } 1 .. 3);
    is(($end->read_pair)[1], $_, 'the end') for 1 .. 3;

    is(caught_up($t, $kafka, $topic), '', 'all is read');

    $_->say('stop') for $load, $whole;

    my $figures = $t->figures($load);

    is(broken($figures), '', 'keys: once and in order')
        or diag(explain($figures));
    is($figures->{max}, $count / 20, 'who keeps up misses none');
    is($figures->{min}, $figures->{max}, 'and nobody misses any');

    # three of the whole topic's are the end, which wsload does not know

    $figures = $t->figures($whole);
    is($figures->{$_}, 0, "whole topic: $_")
        for qw(lost doubled disorder aborted broken gaps closed);
    is($figures->{foreign}, 3 * 20, 'the end came to all');
    is($figures->{min}, $count + 3, 'whole topic: all came');

    $end->close;
    is(quiet($t), '', 'nothing is left');
    $t->stop;
}


my ($most) = sort { $b <=> $a } few_workers();

subtest "many sessions, $most workers" => sub { many($most) };

for my $workers (few_workers()) {
    subtest "paced, $workers workers" => sub { paced($workers) };
    subtest "transactions, $workers workers" => sub {
        transactions($workers);
    };
}

subtest "a compacted topic, $most workers" => sub { compacted($most) };

done_testing();
