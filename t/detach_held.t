#!/usr/bin/perl

# fanout_detach with what else holds a request: copies that nginx still sends
# (mirror), and what it does after the end (post_action).

use strict;
use warnings;

use IO::Select;
use IO::Socket::INET;
use Test::More;
use Test::Fanout;
use Test::Fanout::Kafka;
use Test::Fanout::Status;

my $conf = <<'EOC';
events {}
http {
    fanout_zone   main 16m;
    fanout_kafka  main { bootstrap.servers %%BROKERS%%; }
    fanout_detach on;
    server {
        listen 127.0.0.1:%%PORT_1%%;
        fanout_allow subscribe *;
        location /mirror { mirror /copy; fanout_websocket echo;
                           fanout_ping 200ms 10s; }
        location /asks   { mirror /copy; fanout_websocket;
                           fanout_handshake_timeout 300ms; }
        location /post   { post_action /copy; fanout_websocket; }
        location /ws     { fanout_websocket; }
        location /fails  { mirror /none; fanout_websocket echo; }
        location /copy   { internal; proxy_pass http://%%PEER%%; }
        location /none   { internal; return 404; }
        location /status { fanout_status; access_log off; }
    }
}
EOC

my $kafka = Test::Fanout::Kafka->shared;

# a server that answers when it is told to

my $peer = IO::Socket::INET->new(Listen => 10, Timeout => 20,
                                 LocalAddr => '127.0.0.1')
    or die "listen: $!";

for my $workers (grep { $_ != 2 } workers()) {
    my $t = Test::Fanout->new($conf, workers => $workers,
                              brokers => $kafka->servers,
                              name => "$workers workers",
                              vars => { PEER => '127.0.0.1:'
                                                . $peer->sockport });
    $t->start;

    my $logged = sub { () = $t->read_file('access.log')
                            =~ m{GET /mirror HTTP/1\.1" 101 }g };

    # the request is given back when the copy is answered, not before, and
    # nobody looks for that all the time

    my $ws = $t->ws('/mirror');
    my $copy = $peer->accept;

    $ws->{pongs} = 0;
    is($ws->read_frame->{opcode}, 9, 'pinged while the copy is sent');
    $ws->send_frame(opcode => 10, payload => '');

    my $asks = $t->ws('/asks');
    my $second = $peer->accept;

    is($asks->read_message->{payload}, "what topic/key do you want?\n",
       'asked');
    is($asks->read_described, "text: no subscription in time\n",
       'and waited for');
    $second->close;
    $asks->abort;

    my $used = sub { my $sum = 0; $sum += cpu_seconds($_)
                         for $t->worker_pids; $sum };
    my $before = $used->();

    $ws->text('x');
    is($ws->read_described, 'text: x', 'served while the copy is sent');

    # a second, by its pings

    for (1 .. 5) {
        is($ws->read_frame->{opcode}, 9, 'pinged');
        $ws->send_frame(opcode => 10, payload => '');
    }

    cmp_ok($used->() - $before, '<', 0.5, 'a worker sleeps meanwhile');
    is(scalar $logged->(), 0, 'the request is there');

    $ws->{pongs} = 1;
    $copy->syswrite("HTTP/1.0 204 No Content\r\n\r\n");
    $copy->close;

    wait_for(sub { $ws->text("y"); $ws->read_message; $logged->() }, 10,
             'a line');
    is(scalar $logged->(), 1, 'it is given back');
    is($ws->close, 1000, 'the client ends it');

    # a copy that fails at once does not keep it

    $ws = $t->ws('/fails');
    wait_for(sub {
        $ws->text('y');
        $ws->read_message;
        return $t->read_file('access.log') =~ m{GET /fails HTTP/1\.1" 101 };
    }, 10, 'a line');
    is($ws->close, 1000, 'given back though its copy failed');

    # the end comes in the turn in which it would be given back: it is known
    # for a while that the topic is not

    $copy = wait_for(sub {
        for my $path ('/ws', '/post') {
            $ws = $t->subscribe('nowhere', path => $path);
            is($ws->read_described, "text: unknown topic\n", $path);
        }

        return IO::Select->new($peer)->can_read(0.5) && $peer->accept;
    }, 20, 'post_action');

    is($t->ws('/mirror')->{status}, 101, 'the worker is there');
    $copy->syswrite("HTTP/1.0 204 No Content\r\n\r\n");
    $copy->close;
    $peer->accept->close;

    $ws->abort;
    is(quiet($t), '', 'nothing is left');
    $t->stop;
}

done_testing();
