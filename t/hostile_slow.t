#!/usr/bin/perl

# Clients that take their time, at every place where one can: each is ended
# when the time for that place is over, and costs the others nothing.

use strict;
use warnings;

use Test::More;
use Time::HiRes qw(time);
use Test::Fanout;
use Test::Fanout::Hostile;

my $class = 'Test::Fanout::WebSocket';

my $conf = <<'EOC';
        client_header_timeout 1s;
        lingering_time        2s;
        lingering_timeout     1s;

        location /short {
            fanout_websocket;
            fanout_handshake_timeout 1s;
        }
        location /ping {
            fanout_websocket;
            fanout_ping 200ms 500ms;
        }
EOC


# byte after byte of what each of them is to say, until all is said or they
# are ended; returns how many are not
sub dribble {
    my (@ws) = @_;

    my $until = time() + 10;
    my $at = 0;

    $_->{socket}->blocking(0) for @ws;

    while (@ws && time() < $until) {
        @ws = grep {
            my $n = syswrite $_->{socket}, substr $_->{says}, $at, 1;

            (defined $n || $!{EAGAIN}) && $at < length $_->{says};
        } @ws;

        $at++;
        select undef, undef, undef, 0.02;
    }

    return scalar @ws;
}


# reads all to their ends; false if one has none
sub all_end {
    my (@ws) = @_;

    for my $ws (@ws) {
        $ws->{socket}->blocking(1);
        eval { 1 while $ws->fill; 1 } or return 0;
    }

    return 1;
}


for my $workers (fewest_and_most()) {
    my $h = Test::Fanout::Hostile->new(workers => $workers, conf => $conf,
                                       name => "nginx of $workers");
    my $t = $h->t;
    my (@request, @frame, @silent, @gone);

    for my $to ([], [ssl => 1, server => 2]) {
        my @port = @$to ? (ssl => 1, port => $t->port(2))
                        : (port => $t->port);

        for my $n (1 .. 5) {

            # a request, which never ends

            push @request, $class->open(@port);
            $request[-1]{says} = substr($h->request('/ws'), 0, -2)
                                 . 'X: ' . 'x' x 1000;

            # the header of a frame in a second and more, then a payload
            # that never ends; and frames that never end their message

            push @frame, map { $t->ws('/short', @$to) } 1, 2;
            $frame[-1]{says} = $class->frame(payload => 'x' x 2000);
            $frame[-2]{says} = $class->frame(payload => '', fin => 0)
                               . $class->frame(payload => '', fin => 0,
                                               opcode => 0) x 300;

            # half a frame behind the reply, then nothing

            push @silent, $t->subscribe('news/slow', path => '/ping', @$to);
            $silent[-1]->write("\x82\xfe\x10");

            # gone without a word, as far as the server can see

            push @gone, $t->subscribe('news/slow', path => '/ping', @$to,
                                      rcvbuf => 4096);
        }
    }

    # before there is TLS at all

    for my $n (1 .. 5) {
        push @request, $class->open(port => $t->port(2));
        $request[-1]{says} = "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03"
                             . 'x' x 400;
    }

    is(dribble(@request, @frame), 0, 'all are cut short');
    ok(all_end(@request), 'slow requests end');
    ok(all_end(@frame), 'slow frames end');
    is(scalar(grep { $_->{buf} =~ /no subscription in time/ } @frame),
       scalar @frame, 'and are told');

    # those are still open here

    $h->unharmed('slow clients');
    ok(all_end(@silent), 'half a frame, then silence, ends');
    $h->reset(@gone);
    $h->stop;
}

done_testing();
