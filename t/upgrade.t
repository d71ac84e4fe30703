#!/usr/bin/perl

# Another binary takes the place of the running one, and the way back, with
# sessions that stay: USR2, WINCH, QUIT; USR2, WINCH, HUP, QUIT.

use strict;
use warnings;

use Test::More;
use Test::Fanout;
use Test::Fanout::Broker;
use Test::Fanout::Status;
use Test::Fanout::Stream;

my ($nginx) = grep { -x } map { "$_/nginx" } split(/:/, $ENV{PATH}),
                                            '/usr/sbin';

my $broker = Test::Fanout::Broker->new(prices => 2);

for my $workers (few_workers()) {
    my $t = Test::Fanout->new(<<'EOC', brokers => $broker->servers,
events {}

http {
    fanout_zone    main 16m;
    fanout_linger  1s;
    fanout_allow   subscribe *;
    fanout_kafka   main { bootstrap.servers %%BROKERS%%;
                          fetch.wait.max.ms 10; }
    server {
        listen 127.0.0.1:%%PORT_1%%;

        location /ws     { fanout_websocket; add_header X-Pid $pid always; }
        location /status { fanout_status; }
    }
}
EOC
                              workers => $workers, daemon => 1,
                              binary => $nginx,
                              name => "nginx of $workers");

    my $stream = Test::Fanout::Stream->new($broker, 'prices');

    # sessions of whoever takes them
    my $come = sub {
        my ($n) = @_;

        return map { $stream->join($t->subscribe('prices')) } 1 .. $n;
    };

    my $served = sub {
        my ($name) = @_;

        eval { $stream->settle };
        is($@, '', "$name: all are served");
        is($stream->wrong, '', "$name: each record once, in order");
    };

    # which worker, of these, has it?
    my $of = sub {
        my ($ws, @pids) = @_;

        return grep { $_ == $ws->{headers}{'x-pid'} } @pids;
    };

    # the new master, while the old one runs as well
    my $usr2 = sub {
        my $old = $t->{process};

        $old->signal('USR2');
        wait_for(sub { $t->read_file('nginx.pid.oldbin') eq $old->pid . "\n" },
                 20, 'nginx.pid.oldbin');
        $t->adopt('nginx.pid');
        wait_for(sub { $t->worker_pids == $workers }, 20, 'new workers');

        return $old;
    };

    my $winch = sub {
        my ($old) = @_;

        local $t->{process} = $old;

        $old->signal('WINCH');
        wait_for(sub { $t->worker_pids == 0 }, 20, 'old workers leave');
    };

    $t->start;

    my @first = $come->(4);
    $served->('before');

    # there

    my $old = $usr2->();

    $come->(4);
    $served->('both run');

    $winch->($old);

    my @second = $come->(4);

    is(scalar(grep { $of->($_, $t->worker_pids) } @second), 4,
       'new sessions come to the new one');
    $served->('the old one accepts no more');

    $old->signal('QUIT');
    wait_for(sub { $t->read_file('error.log') =~ /signal 3 / }, 10, 'QUIT');
    ok($old->alive, 'the old one waits for its sessions');
    $served->('the old one leaves');

    my @of_old = grep { !$of->($_, $t->worker_pids) } $stream->sessions;

    is($_->close, 1000, 'closed') for @of_old;
    ok(defined $old->wait(20), 'without sessions it ends');
    $stream->leave(@of_old);
    $served->('the old one is gone');

    # and back

    $old = $usr2->();
    $winch->($old);

    my @third = $come->(4);

    $served->('both run again');

    my $new = $t->{process};

    # the old one goes on with its configuration

    $t->{process} = $old;
    $t->signal('HUP');
    wait_for(sub { $t->worker_pids == $workers }, 20, 'workers of the old');

    my @of_new = map { $_->[0] } Test::Fanout::children($new->pid);

    $new->signal('QUIT');
    wait_for(sub { !grep { $_->[1] !~ /shutting down/ }
                   Test::Fanout::children($new->pid) }, 20,
             'workers of the new one leave');
    ok($new->alive, 'the new one waits for its sessions');

    my @fourth = $come->(4);

    is(scalar(grep { $of->($_, $t->worker_pids) } @fourth), 4,
       'new sessions come to the old one');
    $served->('the new one leaves');

    is($_->close, 1000, 'closed') for @third;
    ok(defined $new->wait(20), 'without sessions it ends');
    $t->wait_gone(10, @of_new);
    $stream->leave(@third);
    $served->('only the old one is left');
    wait_for(sub { $t->read_file('nginx.pid') eq $old->pid . "\n" }, 10,
             'its pid file');

    is($_->close, 1000, 'closed') for $stream->sessions;
    is(quiet($t), '', 'nothing is left');
    lines_are($t, 20, 'a line for each');

    $t->stop;
}

done_testing();
