#!/usr/bin/perl

# The source: starts at the end exactly, stops when nobody listens, reads each
# partition once, prunes by a declared partitioner, says what it can't give.

use strict;
use warnings;

use Test::More;
use Test::Fanout;
use Test::Fanout::Kafka;
use Test::Fanout::Status;

my $conf = <<'EOC';
events {}
http {
    fanout_zone   main 16m;
    fanout_linger 300ms;
    fanout_owners 2;

    fanout_kafka main {
        bootstrap.servers %%BROKERS%%;
        statistics.interval.ms 200;
        topic.metadata.refresh.interval.ms 500;
        topic pruned* partitioner=murmur2;
    }

    server {
        listen 127.0.0.1:%%PORT_1%%;
        fanout_ping 300s 60s;
        location /ws     { fanout_websocket; fanout_allow subscribe *; }
        location /status { fanout_status; }
    }
}
EOC

my $kafka = Test::Fanout::Kafka->shared;
my $own = Test::Fanout::Kafka->new;       # to be stopped, killed, truncated
my ($t, $workers);


sub begin {
    my ($name, $brokers) = @_;

    $t = Test::Fanout->new($conf, workers => $workers, name => $name,
                           brokers => $brokers || $kafka->servers);
    return $t->start;
}


# nothing of what was there, everything that comes; then it stops

sub the_end {
    my $topic = $kafka->create($kafka->unique('end'), 3);

    $kafka->produce_many($topic, '--count', 300, '--keys', 10);
    begin("the end, $workers workers");

    my @sessions;

    for my $i (1 .. 8) {
        push @sessions, $t->subscribe($i % 2 ? "$topic/key-1" : $topic);
        settled($t, $i);
        $kafka->produce($topic, ['key-1', "after $i"]);

        # all have it now, and the next one must not get it

        is_deeply([map { ($_->read_pair)[1] } @sessions],
                  [("after $i") x $i], "$i sessions begin at their ends");
    }

    my $status = $t->status;

    is(scalar @{ $status->{sources} }, 3, 'a source a partition');
    is($status->{total}{sources}, 3, 'each has one owner');
    is($status->{total}{records}, 8, 'each record is fetched once');

    # a session that comes while it lingers

    $_->close for @sessions;

    my $ws = $t->subscribe($topic);
    wait_for(sub { served($t->status) > served($status) }, 10, 'served');
    $kafka->produce($topic, ['a', 'again']);
    is(($ws->read_pair)[1], 'again', 'while it lingers');
    $ws->close;
    is(quiet($t), '', 'nothing is left after fanout_linger');

    # what comes while nobody listens is for nobody

    $kafka->produce($topic, ['a', 'unheard']);
    $ws = $t->subscribe($topic);
    settled($t, 1, served($t->status) - 1);
    settled($t, 1);
    wait_for(sub {
        return 3 == grep { $_->{state} eq 'running' }
                         @{ $t->status->{sources} };
    }, 10, 'sources');
    $kafka->produce($topic, ['a', 'heard']);
    is(($ws->read_pair)[1], 'heard', 'starts anew at the end');
    $ws->close;

    $t->stop;
}


# a topic in use is looked at every 30 s, in which the others go on; returns
# what ends it

sub growth {
    my $topic = $kafka->create($kafka->unique('growing'), 1);

    begin("growth, $workers workers");

    my $nginx = $t;
    my $all = $t->subscribe($topic, timeout => 45);
    my $key = $t->subscribe("$topic/k", timeout => 45);

    settled($t, 2);
    $kafka->topic('grow', $topic, 3);

    # before it is noticed: these count, too

    $kafka->produce($topic, ['--partition', $_], ['k', "in $_"]) for 1, 2;

    return sub {
        # a worker that hears of it after others have begun has a gap

        my $gap = $workers == 1 ? '' : '|gap,in [12]|gap,gap';

        for my $ws ($all, $key) {
            my @came = map {
                my $frame = $ws->read_message;
                $frame->{opcode} == 1 ? $frame : $ws->read_message;
            } 1 .. 2;

            like(join(',', sort map { $_->{payload} =~ s/\n//r } @came),
                 qr/^(?:in 1,in 2$gap)$/, 'records in new partitions');
            $ws->close;
        }

        $nginx->stop;
    };
}


# the records that a source would read next are gone

sub truncated {
    my $topic = $own->create($own->unique('short'), 1);

    $own->produce_many($topic, '--count', 10);
    begin("truncated, $workers workers", $own->servers);

    my $ws = $t->subscribe($topic);
    settled($t, 1);
    $own->produce($topic, ['k', 'before']);
    is(($ws->read_pair)[1], 'before', 'before');

    # the log is shorter than what was read

    $own->topic('delete', $topic);
    $own->create($topic, 1);
    $own->produce($topic, map { ['k', "new $_"] } 1 .. 3);

    is($ws->read_described, "text: gap\n", 'a gap is told');
    is_deeply([map { ($ws->read_pair)[1] } 1 .. 3],
              [map { "new $_" } 1 .. 3], 'and what there is comes');

    $ws->close;
    $t->stop;
}


sub pruned {
    my $topic = $kafka->create($kafka->unique('pruned'), 12);

    begin("pruned, $workers workers");

    my ($ws, $other) = map { $t->subscribe("$topic/dave") } 1, 2;

    settled($t, 2);

    my ($source, @more) = @{ $t->status->{sources} };

    is(scalar @more, 0, 'one partition is read');

    my @places = $kafka->produce($topic, ['--partitioner', 'murmur2'],
                                 map { [$_, 'v'] } 'bob', 'dave', 'eve');

    is($source->{partition}, $places[1][0], 'the one that the key is in');
    is_deeply([$_->read_pair], ['dave', 'v'], 'its record') for $ws, $other;

    # librdkafka says the same, in the worker that owns it

    my $fetched;

    wait_for(sub {
        my $status = $t->status;

        return if $status->{answered_by} != $source->{owner}
                  || !$status->{librdkafka};

        $fetched = join ' ', sort map {
            my $p = $_->{topics}{$topic}{partitions} || {};
            grep { $p->{$_}{fetch_state} eq 'active' } keys %$p;
        } @{ $status->{librdkafka} };

        return $fetched eq $source->{partition};
    }, 10, 'statistics of librdkafka');

    is($fetched, $source->{partition}, 'statistics: one is fetched');

    # a whole topic beside it

    my $all = $t->subscribe($topic);
    settled($t, 3);
    is(scalar @{ $t->status->{sources} }, 12, 'all for the whole topic');
    is($t->status->{total}{mismatches}, 0, 'no mismatch');

    # another partitioner: noticed where it is read

    $kafka->produce($topic, ['--partitioner', 'crc32'],
                    map { ["key-$_", 'crc32'] } 1 .. 20);

    is($_->read_described, "text: gap\n", 'a gap is told')
        for $ws, $other;

    wait_for(sub {
        my $status = $t->status;
        my ($row) = grep { $_->{topic} eq $topic } @{ $status->{topics} };

        return $row->{partitioner_mismatch}
               && $status->{total}{mismatches} > 0;
    }, 10, 'the mismatch');

    $all->close;
    is(scalar @{ $t->status->{sources} }, 12, 'it is read wholly');

    for my $p (0 .. 11) {
        $kafka->produce($topic, ['--partition', $p], ['dave', "in $p"]);
        is(($ws->read_pair)[1], "in $p", "a record in partition $p");
    }

    $_->close for $ws, $other;
    $t->stop;
}


# the broker goes away and comes back

sub restart {
    my $topic = $own->create($own->unique('kept'), 4);

    begin("restart, $workers workers", $own->servers);

    my $load = $t->load('--filter', "$topic/key-%d", '--sessions', 40,
                        '--mod', 20, '--keys', 20, '--first', 0,
                        '--expect-each', 100, '--timeout', 90);

    is($load->line(20), 'ready', 'sessions');
    settled($t, 40);

    my $producer = $own->start_producing($topic, '--count', 2000,
                       '--rate', 400, '--keys', 20, '-X',
                       'enable.idempotence=true', '-X', 'log_level=0');

    for my $part (500, 1000) {
        wait_for(sub { $t->status->{total}{records} > $part }, 30, 'records');
        $part == 500 ? $own->stop : $own->kill;
        $own->start;
    }

    is($t->figures($producer, 60)->{acked}, 2000, 'records were produced');

    my $figures = $t->figures($load, 100);

    is(broken($figures), '', 'sessions stay, nothing is lost')
        or diag(explain($figures));
    is($t->status->{total}{sessions_total}, 40, 'nobody came again');

    $t->stop;
}


my ($most) = ($workers) = sort { $b <=> $a } few_workers();
my $grown = growth();

for (few_workers()) {
    $workers = $_;

    subtest "the end, $workers workers" => \&the_end;
    subtest "pruned, $workers workers" => \&pruned;
    subtest "truncated, $workers workers" => \&truncated;
    subtest "restart, $workers workers" => \&restart;
}

subtest "growth, $most workers" => $grown;

done_testing();
