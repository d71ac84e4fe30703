#!/usr/bin/perl

# fanout_join: what comes in that time leaves in one write; not later, and not
# less, and who is told something waits no longer.

use strict;
use warnings;

use Test::More;
use Time::HiRes qw(time);
use Test::Fanout;
use Test::Fanout::Broker;
use Test::Fanout::Status;

my $conf = <<'EOC';
events {}
http {
    fanout_zone  main 16m;
    fanout_join  %%JOIN%%;
    fanout_kafka main { bootstrap.servers %%BROKERS%%; }
    server {
        listen 127.0.0.1:%%PORT_1%%;
        fanout_allow subscribe *;
        location /ws     { fanout_websocket; }
        location /small  { fanout_websocket; fanout_pending 4k disconnect; }
        location /status { fanout_status; }
    }
}
EOC

my $broker = Test::Fanout::Broker->new(news => 2);
my $t;


sub begin {
    my ($workers, $join) = @_;

    $t = Test::Fanout->new($conf, brokers => $broker->servers,
                           name => "join $join, $workers workers",
                           workers => $workers, vars => { JOIN => $join });
    return $t->start;
}


# records at a pace, to sessions on a topic and its keys; the mean number of
# deliveries a write, and the latency
sub joined {
    my @loads = map { $t->load('--filter', $_, '--sessions', 20, '--mod', 4,
                               '--keys', 4, '--first', 0,
                               '--expect-each', $_ eq 'news' ? 400 : 100) }
                'news', 'news/key-%d';

    $_->line(20) for @loads;
    settled($t, 40);

    my $before = $t->status->{total}{writes};

    $broker->produce_many('news', '--count', 400, '--rate', 400, '--keys', 4);

    my @figures = map { $t->figures($_, 60) } @loads;

    is(broken($_), '', 'each record once, in order') for @figures;

    my $total = $t->status->{total};

    cmp_ok($total->{deliveries}, '>=', 20 * 400 + 20 * 100, 'all came');

    return (($total->{writes} - $before) / $total->{deliveries},
            $figures[0]{latency_us}{p50} / 1000);
}


for my $workers (grep { $_ != 4 } workers()) {

    begin($workers, '200ms');

    my ($writes, $latency) = joined();

    cmp_ok($writes, '<', 0.1, 'joined');
    cmp_ok($latency, '>', 50, 'it takes its time');

    # one that is alone waits, too

    my $ws = $t->subscribe('news/dave');

    settled($t, 1, served($t->status) - 1);

    my $start = time();

    $broker->produce('news', ['dave', 'alone']);
    is_deeply([$ws->read_pair], ['dave', 'alone'], 'the only one comes');
    cmp_ok(time() - $start, '>', 0.19, 'not before its time');

    $ws->close;
    $t->stop;

    # much, and what is said, do not wait

    begin($workers, '1m');

    $ws = $t->subscribe('news/dave');
    settled($t, 1);

    $broker->produce('news', map { ['dave', "$_ " . 'x' x 1000] } 1 .. 64);

    my @came = map { $ws->read_pair } 1 .. 32;

    like($came[-1], qr/^32 x+$/, 'much at once does not wait');

    $broker->produce('news', ['dave', 'last']);
    wait_for(sub { $t->status->{total}{frames} == 65 }, 10, 'all is there');

    $ws->send_frame(opcode => 9, payload => 'p');
    $ws->{pongs} = 0;

    my @last;

    until (@last && $last[-1] eq 'last') {
        my $frame = $ws->read_frame;
        push @last, $frame->{payload};
    }

    ok((grep { $_ eq 'p' } @last), 'an answer takes along what waits');
    $ws->close;

    # who waits for us is not slow: more than may be pending, bit by bit

    my $frames = $t->status->{total}{frames};

    $ws = $t->subscribe('news/dave', path => '/small');
    settled($t, 1, served($t->status) - 1);

    for my $n (1 .. 8) {
        $broker->produce('news', ['dave', "$n " . 'x' x 1500]);
        wait_for(sub { $t->status->{total}{frames} == $frames + $n }, 10,
                 'it is there');
    }

    @came = map { $ws->read_pair } 1 .. 6;
    like($came[-1], qr/^6 x+$/, 'with a small fanout_pending, too');
    $ws->close;
    $t->stop;

    begin($workers, '0');
    cmp_ok((joined())[0], '>', 2 * $writes, 'nothing waits by default');
    $t->stop;
}

done_testing();
