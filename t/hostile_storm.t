#!/usr/bin/perl

# Thousands that come at once, break off anywhere, or break a rule; and more
# than there are connections for.

use strict;
use warnings;

use Test::More;
use Test::Fanout;
use Test::Fanout::Hostile;

my $class = 'Test::Fanout::WebSocket';
my $few = flavor() eq 'asan' ? 4 : 1;


sub frame { $class->frame(mask => 'abcd', @_) }


for my $workers (fewest_and_most()) {
    my $h = Test::Fanout::Hostile->new(workers => $workers,
                                       name => "nginx of $workers");
    my $t = $h->t;

    # a whole session that breaks off behind each byte of it

    my $session = $h->request('/ws') . frame(payload => 'news/storm')
                  . frame(opcode => 9, payload => 'ping')
                  . frame(opcode => 2, payload => 'x' x 20)
                  . frame(opcode => 8, payload => pack 'n', 1000);

    my $count = 2 * (1 + length $session);

    for my $end (qw(reset close)) {
        my $figures = $h->storm($session, '--cut', '--count',
                                $count, '--end', $end);

        is($figures->{failed}, 0, "cut anywhere, then $end");
        $h->unharmed("cut anywhere, then $end");
    }

    # and a TLS handshake

    my $hello = $h->hello;

    for my $end (qw(reset close)) {
        my $figures = $h->storm($hello, '--port', $t->port(2), '--cut',
                                '--count', 1 + length $hello,
                                '--end', $end);

        is($figures->{failed}, 0, "half a TLS handshake, then $end");
        $h->unharmed("half a TLS handshake, then $end");
    }

    # rules broken by many at once: each is told, each ends in order

    my $subscribed = $h->request('/ws') . frame(payload => 'news/storm');

    for (['a bad first frame', $h->request('/ws') . frame(opcode => 3)],
         ['a bad frame', $subscribed . frame(rsv => 1)],
         ['a bad subscription', $h->request('/ws')
                                . frame(payload => 'a/b*c')],
         ['a frame too large', $subscribed
                               . frame(len => 1 << 40, form => 64)])
    {
        my ($name, $bytes) = @$_;

        my $n = 1000 / $few;
        my $figures = $h->storm($bytes, '--count', $n, '--at-once', 200);

        is($figures->{upgraded}, $n, "$name, $n times");
        is($figures->{closed} + $figures->{broken}, $n, "$name: all end");
        $h->unharmed($name);
    }

    # as fast as they come

    my $n = 20000 / $few;

    for (['connect and reset', '', 'reset'],
         ['shake hands and reset', $h->request('/ws'), 'answer'])
    {
        my ($name, $bytes, $end) = @$_;
        my $figures = $h->storm($bytes, '--count', $n, '--at-once', 500,
                                '--end', $end);

        is($figures->{failed}, 0, "$name: $n, $figures->{rate} a second");
        is($figures->{upgraded}, $n, "$name: accepted") if $end eq 'answer';
        $h->unharmed($name);
    }

    $h->stop;

    # more than there are connections for

    $h = Test::Fanout::Hostile->new(workers => $workers, connections => 128,
                                    name => "small nginx of $workers");
    $t = $h->t;
    $t->expect(qr/\d+ worker_connections are not enough/);

    # they stay, and take what is there

    my @stay;

    while (@stay < 128 * $workers) {
        my $ws = eval { $t->subscribe('news/witness') } or last;
        push @stay, $ws;
    }

    cmp_ok(scalar @stay, '>', 100, 'all connections are taken');

    my $figures = $h->storm($h->request('/ws'), '--count', $n / 4,
                            '--at-once', 300, '--end', 'answer');

    is($figures->{failed}, 0, "$n more are taken by the kernel");
    is($figures->{count}, $n / 4, 'and by nobody else');
    ok(defined $h->record_ms($h->{witness}, 'witness'),
       'who is there is served');
    is($stay[-1]->read_message->{payload}, 'witness', 'the last one, too');
    like($t->read_file('error.log'), qr/worker_connections are not enough/,
         'the log says why');

    $_->abort for @stay;
    wait_for(sub { eval { $t->status } }, 20, 'the status');
    $h->unharmed('no connection left');
    $h->stop;
}

done_testing();
