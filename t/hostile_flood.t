#!/usr/bin/perl

# Clients that say much and read nothing: what is kept for them is bounded,
# and others go on at their speed.

use strict;
use warnings;

use POSIX ();
use Test::More;
use Test::Fanout;
use Test::Fanout::Hostile;
use Test::Fanout::Status;

my $class = 'Test::Fanout::WebSocket';



# masked alike, so that a string of them is made once
sub frame { $class->frame(mask => 'abcd', @_) }


# a process for each that writes its bytes over and over; returns what ends them
sub flood {
    my ($bytes, @ws) = @_;

    my @pids;

    for my $ws (@ws) {
        my $pid = fork() // die "fork: $!\n";

        if ($pid == 0) {
            $SIG{TERM} = 'DEFAULT';
            1 while $ws->write($bytes);
            POSIX::_exit(0);
        }

        push @pids, $pid;
    }

    return sub {
        kill 'TERM', @pids;
        waitpid $_, 0 for @pids;
    };
}


# writes as much of it as is taken; how many bytes
sub fill_up {
    my ($ws, $bytes) = @_;

    my $sent = 0;

    $ws->{socket}->blocking(0);

    while ($sent < length $bytes) {
        my $win = '';
        vec($win, fileno $ws->{socket}, 1) = 1;
        last if !select undef, $win, undef, 2;

        $sent += syswrite($ws->{socket}, $bytes, 65536, $sent) // 0;
    }

    $ws->{socket}->blocking(1);

    return $sent;
}


for my $workers (few_workers()) {
    my $h = Test::Fanout::Hostile->new(workers => $workers,
                                       name => "nginx of $workers");
    my $t = $h->t;

    # two of each at a time, as fast as they can; not over TLS: a writer that is
    # killed leaves half a record there, which nginx logs as an attack

    for (['tiny frames', '/ws', frame() x 100000],
         ['pings', '/ws', frame(opcode => 9) x 100000],
         ['empty fragments', '/echo', frame(fin => 0)
          . frame(fin => 0, opcode => 0) x 100000])
    {
        my ($name, $path, $bytes) = @$_;

        my @ws = map { $path eq '/ws'
                       ? $t->subscribe('news/flood')
                       : $t->ws($path) } 1 .. 2;

        settled($t, 3) if $path eq '/ws';

        $h->unhurried($name, sub {
            my $end = flood($bytes, @ws);

            wait_for(sub { $t->status->{total}{input_ignored} > 10000 }, 20,
                     'input') if $name eq 'tiny frames';

            return $end;
        });

        $_->abort for @ws;
        $h->unharmed($name);
    }

    # pings, and no reading: the pongs that wait are bounded, and none is lost

    my $ping = frame(opcode => 9, payload => 'p' x 125);
    my $count = 100000;
    my $ws = $t->ws('/echo', rcvbuf => 4096);
    my $measured = flavor() eq 'normal';
    my $before = $measured && ($t->in_use)[1];
    my $sent = fill_up($ws, $ping x $count);

    if ($measured) {
        cmp_ok(($t->in_use)[1] - $before, '<', 512 * 1024,
               'memory of who does not read');
    }

    cmp_ok($sent, '<', $count * length $ping, "reading stops after $sent");
    ok(defined $h->record_ms($h->{witness}, 'witness'), 'others go on');

    my $whole = int $sent / length $ping;
    my $pongs = 0;

    while ($pongs < $whole) {
        my $frame = $ws->read_frame or last;

        last if $frame->{opcode} != 10 || $frame->{payload} ne 'p' x 125;
        $pongs++;
    }

    is($pongs, $whole, 'each ping has its pong');
    $ws->abort;
    $h->unharmed('pings that are not read');

    # an endless message of empty fragments has an end after all

    $ws = $t->ws('/echo');
    $ws->write(frame(fin => 0)
               . frame(fin => 0, opcode => 0) x 100000
               . frame(opcode => 0, payload => 'end'));
    is($ws->read_described, 'text: end', 'empty fragments and an end');
    $ws->write(frame(fin => 0, payload => 'x')
               . frame(fin => 0, opcode => 0, payload => 'x') x 70000);
    is(($ws->read_close)[0], 1009, 'fragments of a byte, too many');
    $ws->abort;

    # all that it is said is a Close, again and again

    my $figures = $h->storm($h->request('/ws')
                            . frame(opcode => 8, payload =>
                                             pack 'n', 1000) x 1000,
                            '--count', 500);

    is($figures->{upgraded}, 500, 'a storm of Close frames');
    is($figures->{closed} + $figures->{broken}, 500, 'ends');
    $h->unharmed('a storm of Close frames');

    $h->stop;
}

done_testing();
