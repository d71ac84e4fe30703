#!/usr/bin/perl

# Much at once, peers that do not read, and peers that go in every way: no
# byte is lost, no session stays, and memory is bounded.

use strict;
use warnings;

use Errno qw(EAGAIN);
use POSIX ();
use Socket qw(SOL_SOCKET SO_LINGER);
use Test::More;
use Test::Fanout;

my $conf = <<'EOC';
events {}

http {
    fanout_zone  main 16m;

    server {
        listen 127.0.0.1:%%PORT_1%% rcvbuf=2m;

        location /ws     { fanout_websocket echo; }
        location /large  { fanout_websocket echo; fanout_frame_max 1m; }
        location /short  { fanout_websocket echo; fanout_ping 100ms 200ms; }
        location /status { fanout_status; }
    }
}
EOC

my $class = 'Test::Fanout::WebSocket';

# frames of "size" bytes, numbered
sub numbered {
    my ($from, $to, $size) = @_;

    return join '', map {
        $class->frame(opcode => 2, mask => pack('N', $_ * 2654435761 % 2**32),
                      payload => pack('N', $_) . 'x' x ($size - 4))
    } $from .. $to;
}


# are these the next ones that come?
sub expects {
    my ($ws, $from, $to, $size) = @_;

    for ($from .. $to) {
        my $frame = $ws->read_frame or return 0;

        if ($frame->{opcode} == 9) {
            $ws->send_frame(opcode => 10, payload => $frame->{payload});
            redo;
        }

        return 0 if $frame->{payload} ne pack('N', $_) . 'x' x ($size - 4);
    }

    return 1;
}


# writes until nothing more is taken for some time; how many bytes
sub fill_up {
    my ($ws, $bytes) = @_;

    my ($n, $sent) = (0, 0);

    $ws->{socket}->blocking(0);

    while ($sent < length $bytes) {
        my $win = '';
        vec($win, fileno $ws->{socket}, 1) = 1;
        last if !select undef, $win, undef, 1;

        $n = syswrite $ws->{socket}, $bytes, 65536, $sent;
        last if !defined $n && $! != EAGAIN;
        $sent += $n // 0;
    }

    $ws->{socket}->blocking(1);

    return $sent;
}


# of all workers, KB
sub memory {
    my ($t) = @_;

    my $sum = 0;

    for my $pid ($t->worker_pids) {
        $sum += $t->rss($pid);
    }

    return $sum;
}


sub sessions_end {
    my ($t, $name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    ok(eval { wait_for(sub { $t->status->{total}{sessions} == 0 }, 10); 1 },
       "$name: no session stays");
}


for my $workers (workers()) {
    my $t = Test::Fanout->new($conf, workers => $workers,
                              name => "nginx of $workers")->start;

    # many tiny ones in few segments

    my $ws = $t->ws('/ws');
    $ws->write(numbered(1, 20000, 4));
    ok(expects($ws, 1, 20000, 4), '20,000 tiny messages');

    # all of them there before the first is read: reading must go on after
    # the answers went out, though no new byte brings an event

    kill 'STOP', $t->worker_pids;
    my $sent = fill_up($ws, numbered(1, 400, 1000));
    kill 'CONT', $t->worker_pids;
    is($sent, 400 * 1008, 'all was there at once');
    ok(eval { expects($ws, 1, 400, 1000) }, 'and all was answered');

    kill 'STOP', $t->worker_pids;
    $sent = fill_up($ws, numbered(1, 5, 60000));
    kill 'CONT', $t->worker_pids;
    ok(eval { expects($ws, 1, 5, 60000) }, 'five large ones');
    is($ws->close, 1000, 'end');
    sessions_end($t, 'bursts');

    # peers that do not read

    my $count = 400;
    my $bytes = numbered(1, $count, 60000);
    my $before = memory($t);

    $ws = $t->ws('/large', rcvbuf => 4096);
    $sent = fill_up($ws, $bytes);

    cmp_ok($sent, '<', length $bytes, "reading stops after $sent bytes");

    my $more = memory($t) - $before;
    cmp_ok($more, '<', 8192 * (flavor() eq 'asan' ? 2 : 1), "$more KB more");

    my $other = $t->ws('/ws');
    $other->text('still there');
    is($other->read_described, 'text: still there', 'others go on');
    is($other->close, 1000, 'end');

    # it reads at last: what was written meanwhile is there, in order

    my $rest = fork() // die "fork: $!\n";

    if ($rest == 0) {
        $ws->write(substr $bytes, $sent);
        POSIX::_exit(0);
    }

    ok(expects($ws, 1, $count, 60000), 'all came in the end');
    waitpid $rest, 0;
    is($ws->close, 1000, 'end');

    # or does not: silence ends it

    $ws = $t->ws('/short', rcvbuf => 4096);
    fill_up($ws, $bytes);
    sessions_end($t, 'a peer that never reads');
    $ws->abort;

    # or goes, with all that was said to it

    $ws = $t->ws('/large', rcvbuf => 4096);
    fill_up($ws, substr $bytes, 0, 3 * 1024 * 1024);
    setsockopt $ws->{socket}, SOL_SOCKET, SO_LINGER, pack 'ii', 1, 0;
    $ws->abort;
    sessions_end($t, 'reset by a peer that never read');

    $ws = $t->ws('/large', rcvbuf => 4096);
    fill_up($ws, substr $bytes, 0, 3 * 1024 * 1024);
    $ws->abort;
    sessions_end($t, 'closed by a peer that never read');

    # one that ends only its side gets what is its

    $ws = $t->ws('/ws');
    $ws->write($class->frame(payload => 'a')
               . $class->frame(opcode => 8, payload => pack 'n', 1000));
    shutdown $ws->{socket}, 1;
    is($ws->read_described, 'text: a', 'half-closed: an echo');
    is($ws->read_described, 'close 1000', 'half-closed: the Close');
    ok($ws->read_end, 'half-closed: the end');

    $ws = $t->ws('/ws');
    kill 'STOP', $t->worker_pids;
    $ws->text('a');
    shutdown $ws->{socket}, 1;
    kill 'CONT', $t->worker_pids;
    is($ws->read_described, 'text: a', 'half-closed without Close: an echo');
    is($ws->read_described, 'end', 'and the end');
    sessions_end($t, 'half-closed');

    # resets and ends in the middle of everything

    my $frames = numbered(1, 3, 300);

    for my $place (0, 1, 3, 7, 8, 200, 306, 308, 309, 900, 924) {
        for my $linger (0, 1) {
            $ws = $t->ws('/ws');
            $ws->write(substr $frames, 0, $place);
            setsockopt $ws->{socket}, SOL_SOCKET, SO_LINGER,
                       pack 'ii', 1, 0 if $linger;
            $ws->abort;
        }
    }

    sessions_end($t, 'resets and ends anywhere');

    # a peer that says Close, or breaks a rule, and then does not go

    my @stay = map { $t->ws('/ws') } 1 .. 20;

    $_->write($class->frame(opcode => 3)) for @stay;
    is($_->read_described, 'close 1002 unknown opcode', 'Close')
        for @stay;
    $_->write(numbered(1, 50, 1000)) for @stay;
    ok(!grep({ !$_->read_end } @stay), 'nothing follows the Close');
    $_->abort for @stay;
    sessions_end($t, 'who says more after the end');

    $t->stop;
}

done_testing();
