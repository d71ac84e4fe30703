#!/usr/bin/perl

# Timers of many sessions in one worker: each is pinged, warned or ended in
# its own time, whatever others wait for, come or go, and also while the
# worker leaves.

use strict;
use warnings;

use Socket qw(SOL_SOCKET SO_LINGER);
use Test::More;
use Time::HiRes qw(time);
use Test::Fanout;
use Test::Fanout::Status;

my $t = Test::Fanout->new(<<'EOC', workers => 1, level => 'info');
worker_rlimit_nofile 4096;
events { worker_connections 4000; }

http {
    fanout_zone   main 16m;
    fanout_kafka  main { bootstrap.servers 127.0.0.1:1; }
    fanout_allow  subscribe *;

    server {
        listen 127.0.0.1:%%PORT_1%% backlog=2048;

        location /fast   { fanout_websocket echo; fanout_ping 200ms 10m; }
        location /slow   { fanout_websocket echo; fanout_ping 1500ms 10m; }
        location /never  { fanout_websocket echo; fanout_ping 10m 10m; }
        location /mute   { fanout_websocket echo; fanout_ping 300ms 500ms; }
        location /many   { fanout_websocket echo; fanout_ping 100ms 10m;
                           fanout_detach on; }
        location /asks   { fanout_websocket bare; fanout_ping 10m 10m;
                           fanout_handshake_timeout 700ms; }
        location /status { fanout_status; }
    }
}
EOC

$t->start;


# seconds from now until a ping comes, which is answered
sub ping {
    my ($ws, $start) = @_;

    my $frame = $ws->read_frame // die "the end instead of a ping\n";

    die "no ping, but $frame->{opcode}\n" if $frame->{opcode} != 9;
    $ws->send_frame(opcode => 10, payload => $frame->{payload});

    return time() - $start;
}


# what has come, without waiting
sub silent {
    my ($ws) = @_;

    my $rin = '';
    vec($rin, fileno $ws->{socket}, 1) = 1;

    return $ws->{buf} eq '' && !select $rin, undef, undef, 0;
}


sub writes { $t->status->{total}{writes} }


# intervals of all kinds in the same wheel; those that are nearer come first,
# in whatever order they were set

my $start = time();
my @never = map { $t->ws('/never') } 1 .. 20;
my @slow = map { $t->ws('/slow') } 1 .. 20;
my @mute = map { $t->ws('/mute') } 1 .. 20;
my @asks = map { $t->ws('/asks') } 1 .. 20;
my @fast = map { $t->ws('/fast') } 1 .. 20;

$_->{pongs} = 0 for @mute;

my @first = map { ping($_, $start) } @fast;

is(scalar(grep { $_ < 0.15 } @first), 0, 'no ping before its time');
$_->read_frame->{opcode} == 9 or die for @mute;
is(scalar(grep { !$_->read_end } @mute), 0, 'who answers none is cut');
cmp_ok(time() - $start, '>', 0.75, 'when its time is over');

my $asked = 0;

for my $ws (@asks) {
    $ws->read_frame;
    $asked += $ws->read_described eq "text: no subscription in time\n";
}

is($asked, 20, 'who does not reply is told');
cmp_ok(time() - $start, '>', 0.65, 'when that time is over');

my @second = map { ping($_, $start) } @slow;

is(scalar(grep { $_ < 1.4 } @second), 0, 'no ping before a longer time');
is(scalar(grep { !silent($_) } @never), 0, 'nor for the longest');

$_->abort for @mute, @asks;
sessions_are($t, 60, 'the others stay');

for (1 .. 3) {
    ping($_, $start) for @fast;
}

$_->text('here') for @never;
is(scalar(grep { $_->read_described ne 'text: here' } @never), 0,
   'they are served');

# a connection that could have been reused is no more linked as such

my $later = Test::Fanout::WebSocket->open(port => $t->port);

$later->write("GET /status HTTP/1.1\r\nHost: x\r\n\r\n");
$later->read_response;
$later->{buf} =~ s/^.*\r\n0\r\n\r\n//s;
$later->{buf} = '';
$later->write(join "\r\n", 'GET /fast HTTP/1.1', 'Host: x',
              'Upgrade: websocket', 'Connection: Upgrade',
              'Sec-WebSocket-Version: 13',
              'Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==', '', '');
$later->read_response;
is($later->{status}, 101, 'not the first request of its connection');
ping($later, $start) for 1 .. 2;
is($later->close, 1000, 'and its end');
ok($later->read_end, 'which is lingered for');
$later->abort;

# more than are pinged in a turn, at once, again and again

my $many = $t->load('--path', '/many', '--filter', '', '--sessions', 1500,
                    '--idle', '--commands');

like($many->line(60), qr/^ready/, '1,500 more');

my $from = writes();

wait_for(sub { writes() - $from > 1500 * 5 }, 60, 'five pings for each');
sessions_are($t, 1560, 'and all answer');

# while others come and go, which leaves gaps and neighbours

my $churn = $t->load('--path', '/many', '--filter', '', '--sessions', 100,
                     '--churn', 2000, '--abrupt', 3);

is($t->figures($churn, 120)->{exit}, 0, 'others come and go');
sessions_are($t, 1560, 'none is left of them');

$from = writes();
wait_for(sub { writes() - $from > 1500 * 2 }, 60, 'the many are pinged');
ping($_, $start) for @fast, @slow;

# in a worker that leaves

my @old = $t->reload;

$from = writes();
wait_for(sub { writes() - $from > 1500 * 2 }, 60, 'they still are');
ping($_, $start) for @fast, @slow;

my $new = $t->ws('/fast');
ping($new, $start) for 1 .. 2;
pass('as they are in the new one');

ok(kill(0, @old), 'the old worker is there');
$many->close_in;
is($many->wait(60), 0, 'the many have lost nothing');
$_->abort for @fast, @slow, @never;
$t->wait_gone(30, @old);
pass('and goes with the last of them');

$new->abort;
sessions_are($t, 0, 'the last one');

# what is only due much later doesn't keep a worker: one that had no other
# session, and this one ends by a reset, which nothing is sent after

$t->wait_gone(30, $t->reload);
$new = $t->ws('/never');
@old = $t->reload;
setsockopt($new->{socket}, SOL_SOCKET, SO_LINGER, pack 'ii', 1, 0) or die;
$new->abort;
$start = time();
$t->wait_gone(60, @old);
in_time($start, 10, 'nor does it stay for timers');

$t->stop;

done_testing();
