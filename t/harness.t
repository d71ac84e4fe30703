#!/usr/bin/perl

# The test harness itself: nginx comes up with the module and goes without
# a trace, faults are seen, and a websocket client can write what it likes.

use strict;
use warnings;

use Test::More;
use Test::Fanout;

my $conf = <<'EOC';
events {}

http {
    server {
        listen 127.0.0.1:%%PORT_1%%;

        location / { return 200 "%%WORD%%\n"; }
        location /status { return 200 '{"a":[1,2]}'; }
    }
}
EOC

for my $workers (workers()) {
    my $t = Test::Fanout->new($conf, workers => $workers,
                              vars => { WORD => 'hello' },
                              name => "nginx of $workers");

    my ($status, $out) = $t->check;
    is($status, 0, 'configuration') or diag($out);

    $t->start;

    is(scalar $t->worker_pids, $workers, "$workers workers");
    is($t->get('/')->{body}, "hello\n", 'an answer');
    is_deeply($t->status, { a => [1, 2] }, 'status');
    like($t->raw("nonsense\r\n\r\n"), qr/400 Bad Request/, 'raw bytes');

    my @old = $t->reload;

    $t->wait_gone(10, @old);

    is(scalar $t->worker_pids, $workers, 'as many after a reload');
    cmp_ok($t->rss($t->pid), '>', 100, 'memory is seen');

    $t->stop;
}

# a fault is found, and may be announced

my $t = Test::Fanout->new($conf, vars => { WORD => 'x' })->start;
my ($worker) = $t->worker_pids;

kill 'KILL', $worker;

wait_for(sub { $t->faults }, 10, 'the alert');
like(join('', $t->faults), qr/exited on signal 9/, 'an alert is a fault');

$t->expect(qr/worker process \d+ exited on signal 9/);
is(scalar $t->faults, 0, 'but not an expected one');

wait_for(sub { $t->worker_pids == 1 }, 10, 'the next worker');
$t->stop('TERM');

# frames

my $class = 'Test::Fanout::WebSocket';

is(unpack('H*', $class->frame(payload => 'Hello', mask => undef)),
   '810548656c6c6f', 'frame');
is(unpack('H*', $class->frame(payload => 'Hello',
                              mask => pack('H*', '37fa213d'))),
   '818537fa213d7f9f4d5158', 'masked frame');
is(unpack('H*', $class->frame(payload => 'a', mask => undef, form => 64)),
   '817f000000000000000161', 'long form of a short length');

my $half = bless { buf => "\x01\x01a\x88\x02\x03\xe8\x82\x05x",
                   eof => 0 }, $class;

is_deeply($half->take_frame,
          { fin => 0, rsv => 0, opcode => 1, masked => 0, payload => 'a' },
          'a first fragment');
is(Test::Fanout::WebSocket::describe($half->take_frame), 'close 1000',
   'a close frame');
is($half->take_frame, undef, 'half a frame is none');

done_testing();
