#!/usr/bin/perl

# The only broker is away, from the start or later: who comes is told in
# time, who is served stays and gets each record once when it is back, and
# the status tells both.

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
    fanout_kafka main { bootstrap.servers %%BROKERS%%; }
    server {
        listen 127.0.0.1:%%PORT_1%%;
        location /ws     { fanout_websocket; fanout_allow subscribe *; }
        location /status { fanout_status; }
    }
}
EOC

my ($workers) = sort { abs($a - 2) <=> abs($b - 2) } workers();
my @ways = flavor() eq 'asan' ? 'kill' : qw(stop kill);
my $kafka = Test::Fanout::Kafka->new;
my $t;


# what the workers that have asked Kafka for something say of it
sub asked {
    return grep { $_->{up} || $_->{failures} }
           map { @{ $_->{kafka} } } @{ $_[0]{workers} };
}


sub away {
    my ($what) = @_;

    my @told;

    wait_for(sub {
        @told = asked($t->status);
        return @told && !grep { $_->{up} } @told;
    }, 20, "the status tells that Kafka is away $what");

    is(scalar(grep { !length $_->{error} } @told), 0,
       "$what: each worker says why");
    note("$what: $_->{error}") for @told;
}


sub back {
    my ($what) = @_;

    wait_for(sub {
        my @told = asked($t->status);
        return @told && !grep { !$_->{up} } @told;
    }, 30, "the status tells that Kafka is back $what");

    pass("$what: the status tells that it is back");
}


# who comes while it is away
sub refused {
    my ($filter, $what) = @_;

    my $begin = time();
    my $ws = $t->subscribe($filter);

    is($ws->read_described, "text: kafka unreachable, try later\n",
       "$what: a new subscriber is told");
    is($ws->read_described, 'close 1013 kafka unreachable, try later',
       "$what: and may come again");
    in_time($begin, 4, "$what: in time");

    $ws->abort;
}


# nginx is first

$kafka->create($_, 4) for 'early', @ways;
$kafka->create('other', 1);
$kafka->stop;

$t = Test::Fanout->new($conf, brokers => $kafka->servers, name => 'nginx',
                       workers => $workers)->start;

refused('early/key-1', 'at the start');
away('at the start');
$kafka->start;

my $ws = wait_for(sub {
    my $ws = $t->subscribe('early/key-1');
    my $served = served($t->status);

    # told again, or served

    my $rc = wait_for(sub {
        my $status = $t->status;

        return $status->{total}{subscriptions} == 0 ? 'refused'
               : served($status) > 0 ? 'served' : undef;
    }, 10, 'an answer');

    return $rc eq 'served' && $ws;
}, 30, 'a subscriber is served');

$kafka->produce('early', ['key-1', 'a record']);
is(($ws->read_pair)[1], 'a record', 'served once it is there');
back('after the start');
$ws->close;

# under load: a topic for each way to go

my %loads;

for my $how (@ways) {
    $loads{$how} = [
        $t->load('--filter', "$how/key-%d", '--sessions', 40, '--mod', 20,
                 '--keys', 20, '--first', 0, '--expect-each', 100,
                 '--timeout', 150),
        $t->load('--filter', $how, '--sessions', 6, '--keys', 20,
                 '--first', 0, '--expect-each', 2000, '--timeout', 150),
    ];

    is($_->line(20), 'ready', 'sessions') for @{ $loads{$how} };
}

settled($t, 46 * @ways);

for my $how (@ways) {
    my $sessions = 46 * grep { $loads{$_} } @ways;
    my $before = $t->status->{total};
    my $producer = $kafka->start_producing($how, '--count', 2000,
                       '--rate', 400, '--keys', 20, '-X',
                       'enable.idempotence=true', '-X', 'log_level=0');

    wait_for(sub {
        $t->status->{total}{records} > $before->{records} + 400;
    }, 30, 'records');

    $kafka->$how;
    away("after $how");
    refused('other/a', "after $how");

    sessions_are($t, $sessions, "after $how: sessions stay");

    $kafka->start;
    back("after $how");

    is($t->figures($producer, 60)->{acked}, 2000, "after $how: produced");

    for (@{ delete $loads{$how} }) {
        my $figures = $t->figures($_, 100);

        is(broken($figures), '', "after $how: each record once, in order")
            or diag(explain($figures));
    }

    # all but the one who was refused

    is($t->status->{total}{sessions_total}, $before->{sessions_total} + 1,
       "after $how: nobody came again");
}

# an outage is logged once a worker, not with each attempt

my $log = $t->read_file('error.log');
my $begun = () = $log =~ /kafka "main" is unreachable/g;
my $ended = () = $log =~ /kafka "main" is reachable again/g;
my $lines = () = $log =~ /\[(?:warn|error)\]/g;

my $outages = 1 + @ways;

cmp_ok($begun, '>=', $outages, 'outages are logged');
cmp_ok($begun, '<=', $outages * 2 * $workers, 'but not with each attempt');
cmp_ok($ended, '>=', $outages, 'and their ends');
cmp_ok($lines, '<', 20 * $workers, 'the log is short') or diag($log);

$t->stop;

done_testing();
