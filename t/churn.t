#!/usr/bin/perl

# Sessions come and go, on the same and on other keys, while records come:
# nothing of them is left when the sources have stopped.
#
# Memory is counted at malloc(), by a library that is preloaded.  RSS goes
# up and down by a megabyte between the same rounds, for what is free may lie
# below something that is not; what is in use does so by some KB.
#
#     FANOUT_CHURN=10000     how many in all (10000, with sanitizers 600)

use strict;
use warnings;

use Test::More;
use Test::Fanout;
use Test::Fanout::Kafka;
use Test::Fanout::Status;

my $conf = <<'EOC';
worker_rlimit_nofile 20000;
events { worker_connections 10000; }
http {
    fanout_zone   main 16m;
    fanout_linger 500ms;
    fanout_kafka  main { bootstrap.servers %%BROKERS%%; }
    server {
        listen 127.0.0.1:%%PORT_1%% backlog=4096 reuseport;
        location /ws     { fanout_websocket; fanout_allow subscribe *; }
        location /status { fanout_status; }
    }
}
EOC

my $kafka = Test::Fanout::Kafka->shared;
my $cycles = $ENV{FANOUT_CHURN} || (flavor() eq 'asan' ? 600 : 10000);
my $t;


# [private, shared] memory of all workers, in KB: the zone has its size from
# the start, but its pages count as they are touched, in each worker: with
# this zone nearly all are after the first waves
sub resident {
    my ($private, $shared) = (0, 0);

    for my $pid ($t->worker_pids) {
        open my $fh, '<', "/proc/$pid/status" or die "status of $pid: $!\n";

        while (defined(my $line = <$fh>)) {
            $private += $1 if $line =~ /^RssAnon:\s+(\d+)/;
            $shared += $1 if $line =~ /^RssShmem:\s+(\d+)/;
        }
    }

    return ($private, $shared);
}


# [open files, threads] of all workers, without connections
sub held {
    my ($files, $threads) = (0, 0);

    for my $pid ($t->worker_pids) {
        $files += () = glob "/proc/$pid/fd/*";
        $threads += () = glob "/proc/$pid/task/*";
    }

    return ($files, $threads);
}


# waves of sessions that stay for 0 .. 3 records, while records come
sub wave {
    my ($name, $topic, $n, $at_once) = @_;

    my $producer = $kafka->start_producing($topic, '--count', 1000000,
                                           '--rate', 2000, '--keys', 40);
    my @loads;

    for (["$topic/key-%d", 20, 0.6], ["$topic/key-%d", 40, 0.2],
         ["$topic/key-1%d*", 10, 0.1], ["$topic", 1, 0.1])
    {
        my ($filter, $mod, $part) = @$_;

        push @loads, $t->load('--churn', int $n * $part, '--sessions',
                              int $at_once * $part, '--filter', $filter,
                              '--mod', $mod, '--keys', 40, '--hold', 3,
                              '--abrupt', 3, '--timeout', 120);
    }

    for my $load (@loads) {
        my $figures = $t->figures($load, 130);

        is(broken($figures), '', "$name: sessions")
            or diag(explain($figures));
    }

    $producer->stop;
}


# many different keys that nothing is ever sent to
sub keys_only {
    my ($name, $topic, $n) = @_;

    my $load = $t->load('--churn', $n, '--sessions', 500, '--filter',
                        "$topic/other-%d", '--mod', $n, '--timeout', 120);

    my $figures = $t->figures($load, 130);

    is(broken($figures), '', "$name: different keys")
        or diag(explain($figures));
}


# rounds, until one leaves nothing in use.  What each session leaves is one
# piece, of 24 bytes at least, and each round leaves as much again; what is
# made once more and kept, such as a larger table, comes in one of them.
sub rounds {
    my ($topic) = @_;

    my ($pieces, $bytes) = (int $cycles / 20, $cycles * 8);
    my @last = $t->in_use;
    my @grown;

    for my $n (1 .. 4) {
        round("round $n", $topic);

        my @now = $t->in_use;

        @grown = ($now[0] - $last[0], $now[1] - $last[1]);
        @last = @now;

        note("round $n: $now[0] pieces, $now[1] bytes in use; "
             . "RSS " . join ' + ', resident());

        last if $grown[0] < $pieces && $grown[1] < $bytes;
    }

    cmp_ok($grown[0], '<', $pieces, 'pieces in use, more than before');
    cmp_ok($grown[1], '<', $bytes, 'bytes in use, more than before');
}


sub round {
    my ($name, $topic) = @_;

    wave($name, $topic, $cycles / 2, 400);
    keys_only($name, $topic, $cycles / 2);

    is(quiet($t), '', "$name: nothing is left");
}


sub churn {
    my ($workers) = @_;

    my $topic = $kafka->create($kafka->unique('churn'), 6);

    $t = Test::Fanout->new($conf, brokers => $kafka->servers,
                           level => 'notice', workers => $workers,
                           preload => 'heap.so',
                           name => "nginx of $workers")->start;

    my $zone = $t->status->{zone};

    # what is made at first use is there from now on

    round('warming up', $topic);

    my @before = resident();
    my @held = held();

    # the sanitizers have a malloc() of their own

    if (flavor() eq 'normal') {
        rounds($topic);
    } else {
        round('again', $topic);
    }

    my $status = $t->status;

    wait_for(sub {
        $status = $t->status;
        return !@{ $status->{zone}{rings} };
    }, 10, 'rings given back');

    wait_for(sub { !@{ $t->status->{topics} } }, 20, 'topics forgotten');

    $status = $t->status;
    delete $_->{rings} for $zone, $status->{zone};
    is_deeply($status->{zone}, $zone, 'the zone is as at first');

    my @after = resident();

    note("$workers workers: private $before[0] KB, then $after[0] KB; "
         . "zone $before[1] KB, then $after[1] KB");

    if (flavor() eq 'normal') {
        cmp_ok($after[0] + $after[1], '<', ($before[0] + $before[1]) * 1.5,
               'resident memory');
    }

    my @now = held();

    is($now[1], $held[1], 'as many threads');
    cmp_ok($now[0], '<=', $held[0] + 4, 'as many open files');

    # and it still works

    my $ws = $t->subscribe("$topic/after");
    settled($t, 1, served($status));
    $kafka->produce($topic, ['after', 'all']);
    is_deeply([$ws->read_pair], ['after', 'all'], 'the next one is served');
    $ws->close;

    $t->stop;
}


for my $workers (few_workers()) {
    subtest "$cycles sessions, $workers workers" => sub { churn($workers) };
}

done_testing();
