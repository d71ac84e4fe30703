#!/usr/bin/perl

# Readers that stop reading, under each policy, and go without a word in the
# middle of a frame: others go on at their speed.

use strict;
use warnings;

use Test::More;
use Test::Fanout;
use Test::Fanout::Hostile;
use Test::Fanout::Status;

my $class = 'Test::Fanout::WebSocket';

my $conf = <<'EOC';
        location /gap        { fanout_websocket; fanout_pending 64k gap; }
        location /disconnect {
            fanout_websocket;
            fanout_pending 64k disconnect;
        }
        location /patient    { fanout_websocket; fanout_pending 64m; }
EOC

my %plain = (rcvbuf => 4096);
my %tls = (rcvbuf => 4096, ssl => 1, server => 2);


# records for those that do not read, until it is ended
sub pour {
    my ($h, $size, $rate) = @_;

    my $producer = $h->{broker}->start_producing('news', '--count', 1000000,
                       '--rate', $rate, '--partition', 0, '--keys', 0,
                       '--size', $size);

    return sub { $producer->stop };
}


# so many of them that the socket of each is full
sub full {
    my ($t, $count) = @_;

    wait_for(sub { $t->status->{total}{writes_partial} >= $count }, 30,
             'full sockets');
}


for my $workers (fewest_and_most()) {
    my $h = Test::Fanout::Hostile->new(workers => $workers, conf => $conf,
                                       name => "nginx of $workers");
    my $t = $h->t;

    # the latency of the others, while twenty do not read

    for my $policy (qw(gap disconnect)) {
        my @ws = map { $t->subscribe('news', path => "/$policy", %$_) }
                     (\%plain) x 16, (\%tls) x 4;

        settled($t, 1 + @ws);
        my $gaps = $t->status->{total}{gaps};

        $h->unhurried("full sockets, $policy", sub { pour($h, 8000, 200) });

        my $total = $t->status->{total};

        if ($policy eq 'gap') {
            cmp_ok($total->{gaps} - $gaps, '>=', scalar @ws, 'gaps');
            is($total->{sessions}, 1 + @ws, 'all are there');
        } else {
            is($total->{refused}{too_slow}, scalar @ws, 'too slow, all');
        }

        $h->reset(@ws);
        $h->unharmed("full sockets, $policy");
    }

    # a reset, or the end, with half a frame sent, and half a frame said

    for my $how ('reset', 'abort') {
        my @ws = map { $t->subscribe('news', path => '/patient', %$_) }
                     (\%plain) x 8, (\%tls) x 2;

        settled($t, 1 + @ws);

        my $before = $t->status->{total}{writes_partial};
        my $end = pour($h, 100000, 20);

        full($t, $before + @ws);
        $_->write(substr $class->frame(payload => 'x' x 100), 0, 50) for @ws;

        if ($how eq 'reset') {
            $h->reset(@ws);
        } else {
            $_->abort for @ws;
        }

        wait_for(sub { $t->status->{total}{sessions} == 1 }, 20, 'the end');
        $end->();
        $h->unharmed("$how inside a frame");
    }

    # a Close, or a broken rule, from one whose socket is full: the frame
    # under way is finished, the Close follows it

    for my $says ($class->frame(opcode => 8, payload => pack 'n', 1000),
                  $class->frame(rsv => 4))
    {
        my $ws = $t->subscribe('news', path => '/patient',
                                rcvbuf => 16384);

        settled($t, 2);

        my $before = $t->status->{total}{writes_partial};
        my $end = pour($h, 100000, 20);

        full($t, $before + 1);
        $ws->write($says);

        my ($frame, @sizes);

        while ($frame = $ws->read_message and $frame->{opcode} == 2) {
            push @sizes, length $frame->{payload};
        }

        my $said = $class->can('describe')->($frame);

        $end->();

        is(join(' ', @sizes), join(' ', (0, 100000) x (@sizes / 2)),
           'whole records');
        like($said, qr/^close 100[02]/, "and then: $said");
        ok($ws->read_end, 'and the end');
        $ws->abort;
        $h->unharmed("$said with a full socket");
    }

    $h->stop;
}

done_testing();
