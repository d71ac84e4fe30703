#!/usr/bin/perl

# After a worker was killed, or had gone after a reload, its partitions were
# read by nobody, and its slot stayed, for minutes.

use strict;
use warnings;

use Test::More;
use Test::Fanout;
use Test::Fanout::Broker;

my $broker = Test::Fanout::Broker->new(prices => 4);

my $t = Test::Fanout->new(<<'EOC', brokers => $broker->servers, workers => 2);
events {}

http {
    fanout_zone  main 64m;
    fanout_kafka main { bootstrap.servers %%BROKERS%%; fetch.wait.max.ms 10; }

    server {
        listen 127.0.0.1:%%PORT_1%%;

        location /ws     { fanout_websocket bare; fanout_allow subscribe *; }
        location /status { fanout_status; }
    }
}
EOC

$t->start;


sub slots {
    return join ' ', map { $_->{state} } @{ $t->status->{workers} };
}


# sessions of both workers, all partitions read, all owned by live workers
sub sessions {
    my @sessions;

    wait_for(sub {
        push @sessions, $t->subscribe('prices');

        return 2 == grep { $_->{sessions} } @{ $t->status->{workers} };
    }, 20, 'sessions in both workers');

    wait_for(\&running, 10, 'all partitions');

    return @sessions;
}


sub running {
    my %live = map { $_->{slot} => 1 } @{ $t->status->{workers} };

    return 4 == grep { $_->{state} eq 'running' && $live{$_->{owner} // -1} }
                     @{ $t->status->{sources} };
}


$_->close for sessions();
$t->wait_gone(10, $t->reload);

wait_for(sub { slots() eq 'live live' }, 10, 'the old slots go');
pass('slots of old workers go');

my @sessions = sessions();
my ($owner) = sort { $b->{sources} <=> $a->{sources} }
              @{ $t->status->{workers} };

$t->expect(qr/exited on signal 9/, qr/ was locked by \d+$/);
kill 'KILL', $owner->{pid};

wait_for(sub {
    my @workers = @{ $t->status->{workers} };

    return @workers == 2 && !grep { $_->{pid} == $owner->{pid} } @workers;
}, 10, 'the slot goes');
wait_for(\&running, 10, 'another owner');
pass('the slot of a killed worker goes, its partitions do not');

$broker->produce('prices', map { ["k$_", $_] } 1 .. 20);

my $served = 0;

for my $ws (@sessions) {
    my %got;

    # those of the killed worker were cut

    next if !eval { while (keys %got < 20) {
                        my ($key, $value) = $ws->read_pair;
                        $got{$key} = $value;
                    }
                    1 };

    $served++;
    $ws->close;
}

cmp_ok($served, '>=', 1, 'who is left gets the records of all partitions');

$t->stop;

done_testing();
