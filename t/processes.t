#!/usr/bin/perl

# Processes of nginx that are no workers beside others: the manager and the
# loader of a cache, which the module leaves alone, and the one process of
# "master_process off", which has everything.

use strict;
use warnings;

use Test::More;
use Test::Fanout;
use Test::Fanout::Broker;
use Test::Fanout::Status;
use Test::Fanout::Stream;

my $broker = Test::Fanout::Broker->new(prices => 2);
my $conf = <<'EOC';
%%MAIN%%
events {}

http {
    fanout_zone    main 16m;
    fanout_linger  100ms;
    fanout_allow   subscribe *;
    fanout_drain   %%DRAIN%%;
    fanout_kafka   main { bootstrap.servers %%BROKERS%%;
                          fetch.wait.max.ms 10; }

    proxy_cache_path %%TESTDIR%%/tmp/cache keys_zone=pages:1m
                     loader_files=1 loader_sleep=5s loader_threshold=1ms;

    server {
        listen 127.0.0.1:%%PORT_1%%;

        location /ws     { fanout_websocket; }
        location /status { fanout_status; }
        location /page   { proxy_cache pages; proxy_cache_valid 1m;
                           proxy_pass http://127.0.0.1:%%PORT_2%%;
                           add_header X-Cache $upstream_cache_status; }
    }

    server {
        listen 127.0.0.1:%%PORT_2%%;
        location / { return 200 "page\n"; }
    }
}
EOC

my $t;


sub begin {
    my ($name, %vars) = @_;

    $t = Test::Fanout->new($conf, brokers => $broker->servers, workers => 2,
                           name => $name,
                           vars => { MAIN => '', DRAIN => 0, %vars });

    # two files, so that the loader sleeps between them

    mkdir "$t->{dir}/tmp/cache";
    $t->write_file("tmp/cache/$_", 'x') for map { $_ x 32 } 'a', 'b';

    return $t;
}


# numbers of a process's open eventfds
sub eventfds {
    my ($pid) = @_;

    return grep { (readlink "/proc/$pid/fd/$_" // '') =~ /eventfd/ }
           map { m{(\d+)$} } glob "/proc/$pid/fd/*";
}


# numbers of the files that its epoll looks at
sub watched {
    my ($pid) = @_;

    my @watched;

    for my $fd (map { m{(\d+)$} } glob "/proc/$pid/fd/*") {
        next if (readlink "/proc/$pid/fd/$fd" // '') !~ /eventpoll/;

        open my $info, '<', "/proc/$pid/fdinfo/$fd" or next;
        push @watched, map { /^tfd:\s+(\d+)/ } <$info>;
    }

    return @watched;
}


sub threads { scalar(() = glob "/proc/$_[0]/task/*") }


sub logged { scalar(() = $t->read_file('access.log') =~ m{ HTTP/1\.1" 101 }g) }


# -- the manager and the loader of a cache

begin('with a cache')->start;

my $stream = Test::Fanout::Stream->new($broker, 'prices');

$stream->join($t->subscribe('prices')) for 1 .. 6;
$stream->settle;

my %ours = map { $_ => 1 } eventfds($t->pid);

is(scalar keys %ours, 192, 'the eventfds of the zone');

for my $name ('manager', 'loader') {
    my ($pid) = wait_for(sub {
        return (map { $_->[0] } grep { $_->[1] =~ /cache $name process/ }
                Test::Fanout::children($t->pid))[0];
    }, 10, "the cache $name");

    # it has begun to wait, so it is what it will be

    wait_for(sub { watched($pid) }, 10, "the cache $name waits");

    is(threads($pid), 1, "$name: one thread");
    is(scalar(grep { $ours{$_} } watched($pid)), 0, "$name: no wake-up");
    is(scalar(grep { $_->{pid} == $pid } @{ $t->status->{workers} }), 0,
       "$name: no slot");
}

my ($worker) = grep { $_->{sources} } @{ $t->status->{workers} };

cmp_ok(scalar(grep { $ours{$_} } watched($worker->{pid})), '==', 1,
       'a worker looks at one of them');
cmp_ok(threads($worker->{pid}), '>', 1, 'and has threads of librdkafka');

is($t->get('/page')->{headers}{'x-cache'}, 'MISS', 'the cache works');
wait_for(sub { $t->get('/page')->{headers}{'x-cache'} eq 'HIT' }, 10, 'a hit');

my @old = $t->reload;

wait_for(sub { $t->worker_pids == 2 }, 10, 'old workers leave');
$stream->settle;
is($stream->wrong, '', 'a reload: each record once, in order');
$_->close for $stream->sessions;
$t->wait_gone(30, @old);
$t->stop;

# -- one process

for my $drain ('0', '2s') {
    begin("one process, drain $drain", MAIN => 'master_process off;',
          DRAIN => $drain);

    $t->{want} = 0;
    $t->start;
    wait_for(sub { eval { $t->status } }, 10, 'it serves');

    my $status = $t->status;

    is(join(' ', map { $_->{pid} } @{ $status->{workers} }), $t->pid,
       'one worker, itself');

    $stream = Test::Fanout::Stream->new($broker, 'prices');
    $stream->join($t->subscribe('prices')) for 1 .. 4;
    $stream->join($t->subscribe('prices/k1'), 'k1');
    $stream->settle;
    is($stream->wrong, '', 'each record once, in order');

    # nginx waits for nobody here

    my @stay = $stream->sessions;

    is((shift @stay)->close, 1000, 'one ends by itself');
    wait_for(sub { logged() == 1 }, 10, 'its line');
    $t->stop('QUIT', 10);

    is(scalar(grep { join(' ', $_->read_close) eq '1001 going away' } @stay),
       4, 'the others are told');
    is(logged(), 5, 'a line for each');
}

done_testing();
