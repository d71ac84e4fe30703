#!/usr/bin/perl

# A hundred workers are killed one after the other, owners and readers, with
# sessions in all of them: nothing is left of them.

use strict;
use warnings;

use Test::More;
use Test::Fanout;
use Test::Fanout::Broker;
use Test::Fanout::Status;

my $broker = Test::Fanout::Broker->new(prices => 4);

my $t = Test::Fanout->new(<<'EOC', brokers => $broker->servers, workers => 3);
events {}

http {
    fanout_zone   main 16m;
    fanout_linger 100ms;
    fanout_kafka  main { bootstrap.servers %%BROKERS%%; fetch.wait.max.ms 10; }

    server {
        listen 127.0.0.1:%%PORT_1%%;

        location /ws     { fanout_websocket; fanout_allow subscribe *; }
        location /status { fanout_status; }
    }
}
EOC

my ($warm, $many) = flavor() eq 'asan' ? (10, 20) : (20, 100);
my ($before, $after);

$t->start;
$t->expect(qr/exited on signal 9/, qr/ was locked by \d+$/);


# three live workers, and no slot of one that is dead
sub settled_down {
    wait_for(sub {
        my @workers = @{ $t->status->{workers} };

        return @workers == 3 && !grep { $_->{state} ne 'live' } @workers;
    }, 20, 'three workers');
}


for my $n (1 .. $warm + $many) {
    my @sessions = map { $t->subscribe($_ % 2 ? 'prices' : "prices/k$_") }
                   1 .. 6;
    my @pids = $t->worker_pids;
    my $pid = $pids[$n % 3];

    # also while its sessions are not served yet

    if ($n % 4) {
        wait_for(sub { $t->status->{total}{subscriptions} == 6
                       && !grep { $_->{state} ne 'running' }
                          @{ $t->status->{sources} } },
                 20, 'all are served');
    }

    kill 'KILL', $pid;

    wait_for(sub {
        my %pids = map { $_ => 1 } $t->worker_pids;

        return keys %pids == 3 && !$pids{$pid};
    }, 20, 'another worker');

    $_->abort for @sessions;

    if ($n == $warm) {
        settled_down();
        is(quiet($t), '', 'nothing is left after warming up');
        $before = $t->holds;
    }
}

settled_down();
is(quiet($t), '', 'nothing is left');

$after = $t->holds;
note("master: files, shared memory, KB: @$before, then @$after");

is(scalar $t->children_pids, 3, 'no process');
is($after->[0], $before->[0], 'no open file is left in the master');
is($after->[1], $before->[1], 'no shared memory');

SKIP: {
    skip 'freed memory stays with the sanitizer', 1 if flavor() eq 'asan';

    cmp_ok($after->[2], '<', $before->[2] * 1.1, 'its memory stays the same');
}

# and the last ones serve

my $served = served($t->status);
my $ws = $t->subscribe('prices');
settled($t, 1, $served);
$broker->produce('prices', ['key', 'value']);
is_deeply([$ws->read_pair], ['key', 'value'], 'the next one is served');
$ws->close;

$t->stop;

done_testing();
