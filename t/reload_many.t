#!/usr/bin/perl

# Reloads one right after the other: with sessions that stay, and a hundred
# of them that leave nothing in the master, nor a process, nor a slot.

use strict;
use warnings;

use Test::More;
use Test::Fanout;
use Test::Fanout::Broker;
use Test::Fanout::Status;
use Test::Fanout::Stream;

my $broker = Test::Fanout::Broker->new(prices => 2);
my $t;


sub begin {
    my ($name, $workers) = @_;

    $t = Test::Fanout->new(<<'EOC', brokers => $broker->servers,
events {}

http {
    fanout_zone    main %%ZONE%%;
    fanout_linger  100ms;
    fanout_allow   subscribe *;
    fanout_kafka   main { bootstrap.servers %%BROKERS%%;
                          fetch.wait.max.ms 10; }
    server {
        listen 127.0.0.1:%%PORT_1%%;

        location /ws     { fanout_websocket; }
        location /status { fanout_status; }
    }
}
EOC
                           workers => $workers, vars => { ZONE => '16m' },
                           name => "$name, $workers workers");

    return $t->start;
}


# only the new workers are there, and they hold nothing of the old ones
sub settled_down {
    my ($workers) = @_;

    wait_for(sub { $t->children_pids == $workers
                   && $t->worker_pids == $workers }, 30, 'old workers end');

    wait_for(sub { @{ $t->status->{workers} } == $workers }, 10,
             'their slots');
}


# ten in a second, with sessions that are there and such as come meanwhile

for my $workers (workers()) {
    begin('ten in a second', $workers);

    my $stream = Test::Fanout::Stream->new($broker, 'prices');

    $stream->join($t->subscribe('prices')) for 1 .. 8;
    $stream->settle;

    for my $n (1 .. 10) {
        $t->signal('HUP');
        $stream->join($t->subscribe("prices/k$_"), "k$_") for $n % 8;
        select undef, undef, undef, 0.1;
    }

    wait_for(sub { $t->worker_pids == $workers }, 20, 'old workers leave');
    $stream->settle;
    is($stream->wrong, '', 'each record once, in order');

    my @all = $stream->sessions;

    is($_->close, 1000, 'closed') for @all;
    settled_down($workers);
    is(quiet($t), '', 'nothing is left');
    $t->stop;
}

# a hundred, a session in and out in each; every tenth with another zone, so
# that eventfds and shared memory come and go as well

my ($warm, $many) = flavor() eq 'asan' ? (10, 20) : (20, 100);

begin('many', 2);

my $conf = $t->read_file('nginx.conf');
my $before;

for my $n (1 .. $warm + $many) {
    my $stream = Test::Fanout::Stream->new($broker, 'prices');

    $stream->join($t->subscribe('prices'));

    if ($n % 10 == 5) {
        $t->write_file('nginx.conf', $conf =~ s/main 16m/main 24m/r);

    } elsif ($n % 10 == 6) {
        $t->write_file('nginx.conf', $conf);
    }

    my @old = $t->reload;

    if ($n % 10 == 0) {
        $stream->settle;
        is($stream->wrong, '', "$n: each record once, in order");
    }

    is($_->close, 1000, "$n: closed") for $stream->sessions;
    $t->wait_gone(20, @old);

    if ($n == $warm) {
        settled_down(2);
        $before = $t->holds;
    }
}

settled_down(2);
is(quiet($t), '', 'nothing is left');

my $after = $t->holds;

note("master: files, shared memory, KB: @$before, then @$after");

is($after->[0], $before->[0], 'no open file is left in the master');
is($after->[1], $before->[1], 'no shared memory');

SKIP: {
    skip 'freed memory stays with the sanitizer', 1 if flavor() eq 'asan';

    cmp_ok($after->[2], '<', $before->[2] * 1.1, 'its memory stays the same');
}

$t->stop;

done_testing();
