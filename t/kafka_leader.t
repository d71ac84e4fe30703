#!/usr/bin/perl
# once

# A cluster of three: partitions change their leaders, brokers go and come
# back, and no record is lost, doubled or out of order.  A partition without
# a leader stops nothing but what needs it, and is told in time.

use strict;
use warnings;

use Test::More;
use Time::HiRes qw(time);
use Test::Fanout;
use Test::Fanout::Kafka;
use Test::Fanout::Status;

my $conf = <<'EOC';
events {}
http {
    fanout_zone  main 16m;
    fanout_kafka main {
        bootstrap.servers %%BROKERS%%;
        topic pruned partitioner=murmur2;
    }
    server {
        listen 127.0.0.1:%%PORT_1%%;
        fanout_ping 300s 60s;
        location /ws     { fanout_websocket; fanout_allow subscribe *; }
        location /status { fanout_status; }
    }
}
EOC

my ($workers) = sort { abs($a - 2) <=> abs($b - 2) } workers();
my $kafka = Test::Fanout::Kafka->new(nodes => 3);

# every partition's first replica is its preferred leader

$kafka->topic('--replicas', '1,2,3/2,3,1/3,1,2/2,1,3', 'create', $_, 4)
    for qw(term kill);

# one copy each: without a node, without a partition

$kafka->topic('--replicas', '1/2/3', 'create', $_, 3) for qw(single pruned);
$kafka->wait_in_sync($_) for qw(term kill single pruned);

# a key of each partition

my @keys = map { "key-$_" } 1 .. 20;
my @places = $kafka->produce('pruned', ['--partitioner', 'murmur2'],
                             map { [$_, 'v'] } @keys);
my %key = map { $places[$_][0] => $keys[$_] } 0 .. $#keys;

my $t = Test::Fanout->new($conf, brokers => $kafka->servers, name => 'nginx',
                          workers => $workers)->start;


sub loads {
    my ($topic, $each) = @_;

    my @loads = (
        $t->load('--filter', "$topic/key-%d", '--sessions', 40, '--mod', 20,
                 '--keys', 20, '--first', 0, '--expect-each', $each,
                 '--timeout', 150),
        $t->load('--filter', $topic, '--sessions', 6, '--keys', 20,
                 '--first', 0, '--expect-each', 20 * $each,
                 '--timeout', 150),
    );

    is($_->line(20), 'ready', 'sessions') for @loads;

    return @loads;
}


sub producing {
    my ($topic, $count, $rate) = @_;

    return $kafka->start_producing($topic, '--count', $count, '--rate', $rate,
               '--keys', 20, '-X', 'enable.idempotence=true', '-X',
               'acks=all', '-X', 'log_level=0');
}


sub all_came {
    my ($what, $count, $producer, @loads) = @_;

    is($t->figures($producer, 90)->{acked}, $count, "$what: produced");

    for (@loads) {
        my $figures = $t->figures($_, 120);

        is(broken($figures), '', "$what: each record once, in order")
            or diag(explain($figures));
    }

    is($t->status->{total}{gaps}, 0, "$what: no gap");
}


# a session that is served, within the time
sub served_in_time {
    my ($filter) = @_;

    my $served = served($t->status);
    my $begin = time();
    my $ws = $t->subscribe($filter, timeout => 40);

    wait_for(sub { served($t->status) > $served }, 10, 'served');
    in_time($begin, 4, "$filter: served in time");

    return $ws;
}


# nodes leave decently, and hand over what they lead; each in turn

my @loads = loads('term', 200);

settled($t, 46);

my $producer = producing('term', 4000, 200);

wait_for(sub { $t->status->{total}{records} > 100 }, 40, 'records');

for my $id (1 .. 3) {
    $kafka->stop($id);
    $kafka->wait_leaders('term', sub { $_[0] != -1 && $_[0] != $id });
    $kafka->start($id);
    $kafka->wait_in_sync('term');
}

all_came('term', 4000, $producer, @loads);

# a node dies that leads

my ($leader) = map { $_->[0] } $kafka->leaders('kill');

@loads = loads('kill', 200);
settled($t, 46);
$producer = producing('kill', 4000, 400);

my $records = $t->status->{total}{records};

wait_for(sub { $t->status->{total}{records} > $records + 400 }, 40,
         'records');
$kafka->kill($leader);
$kafka->wait_leaders('kill', sub { $_[0] != -1 && $_[0] != $leader });

all_came('kill', 4000, $producer, @loads);

my $kafkas = sub {
    return grep { $_->{up} || $_->{failures} }
           map { @{ $_->{kafka} } } @{ $t->status->{workers} };
};

is(scalar(grep { !$_->{up} } $kafkas->()), 0,
   'without one broker the cluster is not away');

$kafka->start($leader);
$kafka->wait_in_sync($_) for qw(kill single pruned);

# a partition that goes while it is read: the others come

my $all = served_in_time('single');

$kafka->kill(3);
$kafka->wait_leaders('single', sub { $_[0] != 3 });

is(join(' ', map { $_->[0] } $kafka->leaders('single')), '1 2 -1',
   'a partition has no leader');

for my $partition (0, 1) {
    $kafka->produce('single', ['--partition', $partition],
                    ['k', "in $partition"]);
    is(($all->read_pair)[1], "in $partition", 'the others are read');
}

# a topic that nobody reads: keys of the other partitions are served, before
# and after a subscriber of all is told in time

my @ws = served_in_time("pruned/$key{0}");
my $begin = time();
my $ws = $t->subscribe('pruned');

is($ws->read_described, "text: kafka unreachable, try later\n",
   'a subscriber of the whole topic is told');
is($ws->read_described, 'close 1013 kafka unreachable, try later',
   'and may come again');
in_time($begin, 4, 'in time');
$ws->abort;

push @ws, served_in_time("pruned/$key{1}");

for my $partition (0, 1) {
    $kafka->produce('pruned', ['--partition', $partition],
                    [$key{$partition}, 'now']);
    is(($ws[$partition]->read_pair)[1], 'now', "a record in $partition");
}

$_->close for @ws;

# whom it concerns is told by the status, who reads looks twice a minute

wait_for(sub {
    return grep { $_->{up}
                  && $_->{error} =~ /^partition 2 .*"single": it has no lead/ }
           map { @{ $_->{kafka} } } @{ $t->status->{workers} };
}, 60, 'the status tells that a partition has no leader');

# it comes back, and what was there before, too

$kafka->start(3);
$kafka->wait_in_sync('single');
$kafka->produce('single', ['--partition', 2], ['k', 'in 2']);
is(($all->read_pair)[1], 'in 2', 'the partition is read again');
$all->close;

wait_for(sub {
    return !grep { length $_->{error} }
           map { @{ $_->{kafka} } } @{ $t->status->{workers} };
}, 60, 'the status tells that all is well');

$t->stop;
$kafka->kill;

done_testing();
