#!/usr/bin/perl

# Reloads with the same configuration and with other ones: sessions of old
# workers go on to be served for as long as they live, beside new ones, and
# nothing is left when they are gone.

use strict;
use warnings;

use Test::More;
use Test::Fanout;
use Test::Fanout::Broker;
use Test::Fanout::Status;
use Test::Fanout::Stream;

my $broker = Test::Fanout::Broker->new(prices => 4);
my %conf = (workers => 2, zone => '16m', linger => '1s', owners => 4,
            kafka => '', ws => '/ws');


# the configuration, with these changes for good
sub conf {
    my (%change) = @_;

    %conf = (%conf, %change);

    my $location = $conf{ws} ? "location $conf{ws} { fanout_websocket; "
                              . 'add_header X-Pid $pid always; }' : '';

    my $fanout = $conf{zone} ? <<"EOC" : '';
    fanout_zone    main $conf{zone};
    fanout_owners  $conf{owners};
    fanout_linger  $conf{linger};
    fanout_allow   subscribe *;
    fanout_pending 64m;
    fanout_kafka   main { bootstrap.servers %%BROKERS%%;
                          fetch.wait.max.ms 10; $conf{kafka} }
EOC

    my $status = $conf{zone} ? 'location /status { fanout_status; }' : '';

    return <<"EOC";
worker_processes $conf{workers};
events {}

http {
$fanout
    server {
        listen 127.0.0.1:%%PORT_1%%;
        location / { return 204; }
        $location
        $status
    }
}
EOC
}


my $t = Test::Fanout->new(conf(), brokers => $broker->servers)->start;
my $stream = Test::Fanout::Stream->new($broker, 'prices');


# sessions of all kinds that stay
sub come {
    my ($path) = @_;

    my @all = map { $stream->join($t->subscribe('prices', path => $path)) }
                  1 .. 3;

    for my $key (1, 6) {
        push @all, $stream->join($t->subscribe("prices/k$key", path => $path),
                                 "k$key");
    }

    return @all;
}


# a reload with these changes, until the old workers accept no more; those
# that are there are served through it, and those that come are
sub reload {
    my ($name, %change) = @_;

    $t->configure(conf(%change));
    $t->reload;
    wait_for(sub { $t->worker_pids == $conf{workers} }, 10,
             'old workers leave');

    eval { $stream->settle };
    is($@, '', "$name: all are served again");

    my @new = $conf{ws} ? come($conf{ws}) : ();

    eval { $stream->settle };
    is($@, '', "$name: new ones, too");
    is($stream->wrong, '', "$name: each record once, in order");

    return @new;
}


come('/ws');
$stream->settle;
is($stream->wrong, '', 'served');

my @first = $stream->sessions;

reload('nothing changed') for 1 .. 2;
reload('more workers', workers => 4);
reload('one worker', workers => 1);
reload('another cluster', workers => 2, kafka => 'client.id other;');
reload('another zone', zone => '32m');
reload('other owners', owners => 1);

my $path = $t->get('/ws', http => 'HTTP/1.0');
isnt($path->{status}, 204, 'the location is there');

reload('another location', ws => '/other');
is($t->get('/ws')->{status}, 204, 'the old one is not');

reload('no location', ws => '');
is($t->get('/other')->{status}, 204, 'no location is there');
sessions_are($t, 10, 'of this zone are the last two');

reload('no module in use', zone => '');
is($t->get('/status')->{status}, 204, 'nor any other');

my @new = reload('as before', zone => '16m', owners => 4, kafka => '',
                 ws => '/ws');

# the first ones go, the others do not notice

is($_->close, 1000, 'closed') for @first;
$stream->leave(@first);
$stream->settle;
is($stream->wrong, '', 'without the first: each record once, in order');

# the old ones go, nothing of them is left

my %new = map { $_ => 1 } @new;
my @old = grep { !$new{$_} } $stream->sessions;

$_->abort for @old;
$stream->leave(@old);
wait_for(sub { $t->children_pids == 2 }, 20, 'old workers end');
$stream->settle;
is($stream->wrong, '', 'only the new: each record once, in order');

$_->close for @new;
is(quiet($t), '', 'nothing is left');

lines_are($t, 50, 'a line for each');

# a configuration that is wrong changes nothing

$t->write_file('nginx.conf', "events {}\nhttp { fanout_zone main 1k; }\n");
$t->expect(qr/fanout_zone/);
$stream->leave($stream->sessions);
come('/ws');
$stream->settle;

my @pids = $t->worker_pids;

$t->signal('HUP');
wait_for(sub { $t->read_file('error.log') =~ /\[emerg\]/ }, 10, 'the error');
is($stream->wrong, '', 'a wrong configuration: served');
is_deeply([$t->worker_pids], \@pids, 'by the same workers');

$_->close for $stream->sessions;

# While records come: the worker of the sessions stays, the one that reads half
# of the partitions for it has none, and goes.

sub through {
    my ($topic, $during) = @_;

    my ($count, $keys) = (10000, 20);
    my %worker;

    $broker->create($topic, 4);
    $t->configure(conf(workers => 2, linger => '10s'));
    $t->wait_gone(20, $t->reload);

    # rings of an earlier generation, which will be free for the next one

    my @earlier = map { $t->subscribe('prices') } 1 .. 2;

    wait_for(sub { 2 == grep { defined $_->{slot} }
                   @{ $t->status->{zone}{rings} } }, 20, 'two rings');

    my @pids = $t->reload;

    wait_for(sub { $t->worker_pids == 2 }, 10, 'old workers leave');
    wait_for(sub {
        my $ws = $t->subscribe($topic);

        push @{ $worker{$ws->{headers}{'x-pid'}} }, $ws;
        return 2 == grep { @$_ > 3 } values %worker;
    }, 20, 'sessions in both workers');

    wait_for(sub {
        return 4 == grep { $_->{topic} eq $topic && $_->{state} eq 'running' }
                         @{ $t->status->{sources} };
    }, 20, 'all partitions');

    my ($pid, $other) = sort keys %worker;

    # four are enough: each reads all records, and there may be many

    is($_->close, 1000, 'closed') for @{ $worker{$other} }, @earlier,
                                      splice @{ $worker{$pid} }, 4;
    $t->wait_gone(20, @pids);
    wait_for(sub { @{ $t->status->{workers} } == 2 }, 10, 'two slots');
    settled($t, scalar @{ $worker{$pid} });

    ok((grep { $_->{pid} == $other && $_->{sources} }
        @{ $t->status->{workers} }), 'the other one reads some');

    my $producer = $broker->start_producing($topic, '--count', $count,
                                            '--rate', 5000, '--keys', $keys);

    wait_for(sub { $t->status->{total}{records} > 1000 }, 20, 'records');
    $during->($pid, $other);
    is($t->figures($producer)->{exit}, 0, 'all are produced');

    for my $ws (@{ $worker{$pid} }) {
        is(sequence($ws, $count), '', 'each record once, in order');
        $ws->abort;
    }
}


# what is wrong with that many records of "produce"
sub sequence {
    my ($ws, $left) = @_;

    my %next;

    while ($left--) {
        my ($key, $value) = eval { $ws->read_pair };

        return "$left to come: $@" if !defined $key;

        my $want = $next{$key}++ // 0;

        return "$key: \"" . substr($value, 0, 20) . "\", not $want"
            if $value !~ /^$want /;
    }

    return '';
}


subtest 'through a reload' => sub {
    through('through', sub {
        my ($pid, $other) = @_;

        $t->reload;
        $t->wait_gone(10, $other);
    });
};

subtest 'through a reload, reading late' => sub {
    through('late', sub {
        my ($pid, $other) = @_;

        # it has not read what the other one wrote before that went

        kill 'STOP', $pid;
        select undef, undef, undef, 0.2;
        $t->reload;
        $t->wait_gone(10, $other);

        wait_for(sub {
            my $answer = eval { $t->get('/status', http => 'HTTP/1.0',
                                        timeout => 1)->{body} } // '';

            return $answer !~ /"pid":$other,/ && $answer =~ /"pid"/
                   && $answer !~ /"state":"(?:wanted|starting)"/;
        }, 20, 'another owner');
        kill 'CONT', $pid;
    });
};

$t->stop;

done_testing();
