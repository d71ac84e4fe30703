#!/usr/bin/perl

# fanout_detach: a session without its request is served, pinged, ended and
# logged as it should be; what the request held is free.

use strict;
use warnings;

use Test::More;
use Test::Fanout;
use Test::Fanout::Broker;
use Test::Fanout::Status;
use Test::Fanout::Stream;

my $conf = <<'EOC';
worker_shutdown_timeout 20s;
events {}
http {
    fanout_zone   main 16m;
    fanout_kafka  main { bootstrap.servers %%BROKERS%%; }
    fanout_detach on;
    fanout_drain  %%DRAIN%%;
    limit_conn_zone $binary_remote_addr zone=few:64k;
    server {
        listen 127.0.0.1:%%PORT_1%%;
        listen 127.0.0.1:%%PORT_2%% ssl;
        ssl_certificate     %%CERT%%;
        ssl_certificate_key %%KEY%%;
        fanout_allow subscribe orders news/$arg_user;
        location /ws     { fanout_websocket; }
        location /few    { fanout_websocket; limit_conn few 1; }
        location /kept   { fanout_websocket; limit_conn few 1;
                           fanout_detach off; }
        location /fixed  { fanout_websocket; fanout_filter news/$arg_user; }
        location /echo   { fanout_websocket echo; }
        location /ping   { fanout_websocket echo; fanout_ping 200ms 10s; }
        location /dead   { fanout_websocket echo; fanout_ping 200ms 200ms; }
        location /status { fanout_status; }
    }
}
EOC

my $broker = Test::Fanout::Broker->new(orders => 2, news => 1);
my @tls = (ssl => 1, server => 2);
my $t;


sub begin {
    my ($workers, $drain) = @_;

    $t = Test::Fanout->new("events {}\nhttp {\n}\n", workers => $workers,
                           brokers => $broker->servers,
                           vars => { DRAIN => $drain },
                           name => "$workers workers, drain $drain");

    @{ $t->{vars} }{qw(CERT KEY)} = $t->certificate;
    $t->configure($conf);

    return $t->start;
}


for my $workers (grep { $_ != 2 } workers()) {
    begin($workers, '0');

    # logged when it is served, and no request is left

    my $stream = Test::Fanout::Stream->new($broker, 'orders');

    $stream->join($t->subscribe('orders')) for 1 .. 5;
    lines_are($t, 5, 'logged when they are served');
    $stream->join($t->subscribe('orders', @tls)) for 1 .. 5;
    lines_are($t, 10, 'over TLS, too');
    $stream->settle;
    is($stream->wrong, '', 'each record once, in order');

    my $fixed = $t->ws('/fixed?user=dave');

    settled($t, 11);
    $broker->produce('news', ['bob', 'no'], ['dave', 'yes']);
    is_deeply([$fixed->read_pair], ['dave', 'yes'], 'fanout_filter');

    # limit_conn counts requests

    my @few = map { $t->subscribe('orders', path => '/few') } 1;

    lines_are($t, 12, 'one more');
    push @few, $t->subscribe('orders', path => '/few');
    lines_are($t, 13, 'the first one does not count any more');

    my $kept = $t->subscribe('orders', path => '/kept');

    is(Test::Fanout::WebSocket->connect(port => $t->port,
                                        path => '/kept')->{status},
       503, 'who keeps the request is counted');

    # frames both ways, pings, and all ways to end

    my $echo = $t->ws('/echo');

    for my $text ('a', 'b' x 60_000, '') {
        $echo->text($text);
        is($echo->read_described, "text: $text", 'echo');
    }

    is($echo->close, 1000, 'the client ends it');
    ok($echo->read_end, 'and the connection ends');

    my $ping = $t->ws('/ping');

    for (1 .. 3) {
        my $frame = $ping->read_frame;

        is($frame->{opcode}, 9, 'a ping');
        $ping->send_frame(opcode => 10, payload => $frame->{payload});
    }

    my $dead = $t->ws('/dead');

    $dead->{pongs} = 0;
    $dead->read_frame;
    ok($dead->read_end, 'who does not answer pings is cut');

    my $bad = $t->ws('/echo');

    $bad->text('x');
    $bad->read_frame;
    $bad->send_frame(opcode => 3, payload => '');
    is(($bad->read_close)[0], 1002, 'a bad frame');
    ok($bad->read_end, 'is the end');

    my $denied = $t->subscribe('news/bob', path => '/ws?user=dave');

    is($denied->read_described, "text: not allowed\n", 'fanout_allow');
    is(($denied->read_close)[0], 1008, 'its code');

    $_->abort for @few, $ping, $bad, $denied;
    $_->close, $_->abort for $kept, $fixed;

    # a reload: sessions stay with their worker

    my @old = $t->reload;

    $stream->settle;
    is($stream->wrong, '', 'a reload: each record once, in order');

    # nginx -s stop: they are told

    my @stay = $stream->sessions;

    $t->signal('TERM');
    is(scalar(grep { join(' ', $_->read_close) eq '1001 going away' } @stay),
       10, 'stop: they are told');
    $t->ended;

    # drained

    begin($workers, '300ms');

    my @all = map { $t->subscribe('orders', $_ % 2 ? @tls : ()) } 1 .. 10;

    settled($t, 10);
    lines_are($t, 10, 'all are served');

    @old = $t->reload;
    is(scalar(grep { join(' ', $_->read_close) eq '1001 going away' } @all),
       10, 'drain: they are told');
    $_->send_close(1001) for @all;
    is(scalar(grep { $_->read_end } @all), 10, 'and ended');
    $t->wait_gone(20, @old);
    is(quiet($t), '', 'nothing is left');
    $t->stop;
}

done_testing();
