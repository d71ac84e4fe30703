#!/usr/bin/perl

# The end that comes at once: worker_shutdown_timeout, SIGTERM, and both
# after a quit.  Whoever can be told is told, 1001, and all are logged.

use strict;
use warnings;

use Test::More;
use Time::HiRes qw(time);
use Test::Fanout;
use Test::Fanout::Broker;
use Test::Fanout::Status;

my $class = 'Test::Fanout::WebSocket';
my $broker = Test::Fanout::Broker->new(prices => 2);
my $conf = <<'EOC';
%%MAIN%%
events {}

http {
    fanout_zone   main 16m;
    fanout_kafka  main { bootstrap.servers %%BROKERS%%; fetch.wait.max.ms 10; }
    fanout_allow  subscribe *;
    fanout_drain  %%DRAIN%%;

    server {
        listen 127.0.0.1:%%PORT_1%%;
        listen 127.0.0.1:%%PORT_2%% ssl;
        ssl_certificate      %%CRT%%;
        ssl_certificate_key  %%KEY%%;

        location /ws     { fanout_websocket bare; }
        location /echo   { fanout_websocket echo; fanout_frame_max 8m; }
        location /status { fanout_status; }
    }
}
EOC

my ($t, @certificate);


sub begin {
    my ($workers, $name, $main, $drain) = @_;

    $t = Test::Fanout->new("events {}\n", workers => $workers,
                           brokers => $broker->servers,
                           name => "$name, $workers workers");

    @certificate = $t->certificate if !@certificate;

    $t->{vars} = { MAIN => $main, DRAIN => $drain // 0,
                   CRT => $certificate[0], KEY => $certificate[1] };
    $t->configure($conf);

    return $t->start;
}


# how many lines with status 101 there are
sub logged {
    return scalar(() = $t->read_file('access.log') =~ m{ HTTP/1\.1" 101 }g);
}


# of all kinds: served ones, silent ones, over TLS
sub sessions {
    my @all = ((map { $t->subscribe('prices') } 1 .. 10),
               (map { $t->ws('/ws') } 1 .. 3),
               (map { $t->ws('/echo') } 1 .. 5),
               (map { $t->ws('/echo', server => 2, ssl => 1) } 1 .. 3));

    settled($t, 10);

    return @all;
}


# one that the worker can tell nothing: it has to wait for it
sub stuck {
    my $partial = $t->status->{total}{writes_partial};
    my $ws = $t->ws('/echo', rcvbuf => 4096);

    $ws->write($class->frame(opcode => 2, payload => 'y' x 2 ** 22));
    wait_for(sub { $t->status->{total}{writes_partial} > $partial }, 10,
             'one that is stuck');

    return $ws;
}


sub told {
    my ($name, @sessions) = @_;

    my $n = grep { join(' ', $_->read_close) eq '1001 going away'
                   && $_->read_end } @sessions;

    is($n, @sessions, "$name: all are told");
    $_->abort for @sessions;
}


for my $workers (few_workers()) {

    # worker_shutdown_timeout, after a reload and after a quit

    begin($workers, 'timeout', 'worker_shutdown_timeout 500ms;');

    my @all = sessions();
    my $stuck = stuck();
    my $start = time();
    my @pids = $t->reload;

    told('reload', @all);
    cmp_ok(time() - $start, '>', 0.45, 'when the time is over');
    $t->wait_gone(10, @pids);
    cmp_ok(time() - $start, '<', 9, 'nobody is waited for');
    is(logged(), 22, 'a line for each');
    $stuck->abort;

    @all = sessions();
    $t->signal('QUIT');
    told('quit', @all);
    $t->ended;
    is(logged(), 43, 'a line for each');

    # it bounds fanout_drain, too

    begin($workers, 'timeout and drain', 'worker_shutdown_timeout 500ms;',
          '1h');

    @all = sessions();
    @pids = $t->reload;
    told('drain', @all);
    $t->wait_gone(10, @pids);
    is(logged(), 21, 'a line for each');
    $t->stop;

    # a stop

    begin($workers, 'stop', '');

    @all = sessions();
    $stuck = stuck();
    $t->stop('TERM');
    told('stop', @all);
    is(logged(), 22, 'a line for each');
    $stuck->abort;

    # a stop that follows a quit, of workers that wait, and drain

    for my $drain ('0', '1h') {
        begin($workers, "quit and stop, drain $drain", '', $drain);

        @all = sessions();
        $stuck = stuck();
        $t->signal('QUIT');
        wait_for(sub { $t->worker_pids == 0 }, 10, 'quitting workers');
        is(logged(), 0, 'all are here');
        $t->stop('TERM');
        told('quit and stop', @all);
        is(logged(), 22, 'a line for each');
        $stuck->abort;
    }
}

done_testing();
