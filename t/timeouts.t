#!/usr/bin/perl

# What time brings to a websocket: fanout_handshake_timeout, fanout_ping,
# and the bound on last words.

use strict;
use warnings;

use POSIX ();
use Test::More;
use Time::HiRes qw(time);
use Test::Fanout;

my $conf = <<'EOC';
events {}

http {
    fanout_zone   main 16m;
    fanout_kafka  main { bootstrap.servers 127.0.0.1:1; }
    fanout_allow  subscribe *;

    server {
        listen 127.0.0.1:%%PORT_1%% sndbuf=64k;

        location /ws      { fanout_websocket bare;
                            fanout_handshake_timeout 300ms; }
        location /long    { fanout_websocket bare;
                            fanout_handshake_timeout 60s; }
        location /ping    { fanout_websocket echo; fanout_ping 100ms 20s; }
        location /busy    { fanout_websocket echo; fanout_ping 400ms 20s; }
        location /silence { fanout_websocket echo; fanout_ping 100ms 3s; }
        location /status  { fanout_status; }

        location /last {
            fanout_websocket echo;
            fanout_frame_max 8m;
        }
    }
}
EOC

my $t = Test::Fanout->new($conf)->start;
my $class = 'Test::Fanout::WebSocket';


sub sessions { $t->status->{total}{sessions} }


# what comes to one who reads slowly and is not listened to meanwhile, for
# longer than last words may take: how much, and the end of it
sub slowly {
    my ($ws) = @_;

    my $got = 0;
    my $start = time();

    while (time() - $start < 7) {
        $got += sysread $ws->{socket}, my $bytes, 8192;
        select undef, undef, undef, 0.05;
    }

    while ($ws->fill) {
        my $some = length($ws->{buf}) - 4;
        next if $some <= 0;

        $got += $some;
        $ws->{buf} = substr $ws->{buf}, -4;
    }

    return $got + length $ws->{buf}, unpack 'H*', substr $ws->{buf}, -4;
}


# in a process of its own and with another nginx, while the rest goes on

my $other = Test::Fanout->new($conf, name => 'last words')->start;
my $size = 3 * 1024 * 1024;
my $slow = $other->ws('/last', rcvbuf => 4096);

$slow->write($class->frame(opcode => 2, payload => 'y' x $size)
             . $class->frame(opcode => 8, payload => pack 'n', 1000));

my $pid = open(my $reader, '-|') // die "fork: $!\n";

if ($pid == 0) {
    my $said = eval { join ' ', slowly($slow) } // $@;

    syswrite STDOUT, $said;
    POSIX::_exit(0);
}


# no reply

my $start = time();
my $ws = $t->ws('/ws');

is($ws->read_described, "text: what topic/key do you want?\n", 'prompt');
is($ws->read_described, "text: no subscription in time\n", 'notice');
is($ws->read_described, 'close 1008 no subscription in time', 'Close');
ok($ws->read_end, 'end');
cmp_ok(time() - $start, '>', 0.25, 'not before its time');
$ws->abort;

# other bytes are no reply, and half a reply is none

$ws = $t->ws('/ws');
$ws->read_frame;
$ws->send_frame(fin => 0, payload => 'topic/');

my $said = '';

while (my $frame = $ws->read_frame) {
    $said .= $class->can('describe')->($frame) =~ s/\n//r . '; ';
    last if $frame->{opcode} == 8;

    # as busy as it can be

    $ws->ping('x') if $frame->{opcode} == 10 || $said !~ /pong/;
    $ws->send_frame(opcode => 0, fin => 0, payload => 'k');
}

like($said, qr/text: no subscription in time; close 1008/, 'pings and parts');
ok($ws->read_end, 'end');
$ws->abort;

# a peer that neither replies nor reads nor goes

my @stay = map { $t->ws('/ws', rcvbuf => 4096) } 1 .. 10;
wait_for(sub { sessions() == 0 }, 15, 'the end of who never replies');
$_->abort for @stay;
pass('who never replies is ended');

# a reply ends that time; without a broker there is an answer as well

$ws = $t->subscribe('topic/key', path => '/long');
is($ws->read_described, "text: kafka unreachable, try later\n", 'no Kafka');
is($ws->read_described, 'close 1013 kafka unreachable, try later', 'Close');
ok($ws->read_end, 'end');
$ws->abort;

$ws = $t->subscribe('a/b/c', path => '/long');
like($ws->read_described, qr{^text: bad subscription: }, 'a bad reply');
is(($ws->read_close)[0], 1008, 'Close');
$ws->abort;

# ping and pong

my $keep = $t->ws('/ping');

$start = time();

for (1 .. 5) {
    my $frame = $keep->read_frame;

    is($class->can('describe')->($frame), 'ping: ', 'a ping');
    $keep->send_frame(opcode => 10, payload => $frame->{payload});
}

cmp_ok(time() - $start, '>', 0.4, 'pings not before their time');
cmp_ok(time() - $start, '<', 15, 'nor when that of the answer is over');
$keep->text('alive');
is($keep->read_described, 'text: alive', 'pongs keep it');

# any byte is a sign of life, and puts the next ping off; unless the machine
# stands still for longer than that, which is not the server's fault

my ($pings, $echoes, $longest);

for my $try (1 .. 5) {
    ($pings, $echoes, $longest) = (0, 0, 0);

    $ws = $t->ws('/busy');
    $ws->text('x');
    $start = time();

    my $last = $start;

    while ($last - $start < 1.2) {
        my $frame = $ws->read_frame or last;

        if ($frame->{opcode} == 9) {
            $pings++;
            next;
        }

        $echoes++;
        $ws->text('x');

        my $now = time();
        $longest = $now - $last if $now - $last > $longest;
        $last = $now;
    }

    is($ws->read_message->{payload}, 'x', 'the last one');
    $ws->abort;
    last if $longest < 0.2;
}

cmp_ok($echoes, '>', 10, 'a busy session goes on');

SKIP: {
    skip "the machine stood still for $longest s", 1 if $longest >= 0.2;
    is($pings, 0, 'and is not pinged');
}

# also the bytes of one endless frame

$ws = $t->ws('/silence');
$ws->write(substr $class->frame(opcode => 2, payload => 'x' x 60000), 0, 100);

for (1 .. 3) {
    is($class->can('describe')->($ws->read_frame), 'ping: ', 'pinged');
    $ws->write('x');
}

# then silence

is($class->can('describe')->($ws->read_frame), 'ping: ', 'the last ping');
is($ws->read_frame, undef, 'silence ends it');
$ws->abort;

$keep->send_frame(opcode => 10);
wait_for(sub { sessions() == 1 }, 10, 'one session: the pinged one');
is($keep->close, 1000, 'only the answering one is left');

$t->stop;

# who read slowly: that it reads is enough

is(scalar <$reader>, $size + 10 + 4 . ' 880203e8',
   'a slow reader gets the last words, and Close at the end');
close $reader;
$slow->abort;

$other->stop;

done_testing();
