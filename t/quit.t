#!/usr/bin/perl

# A worker that leaves, at a reload or at a quit, and its websockets: with
# fanout_drain and without it, those that come late among them.

use strict;
use warnings;

use Test::More;
use Time::HiRes qw(time);
use Test::Fanout;
use Test::Fanout::Broker;
use Test::Fanout::Status;
use Test::Fanout::Stream;

my $class = 'Test::Fanout::WebSocket';
my $broker = Test::Fanout::Broker->new(prices => 2);
my $t;


sub begin {
    my ($workers, $directives) = @_;

    $t = Test::Fanout->new(<<'EOC', brokers => $broker->servers,
events {}

http {
    fanout_zone   main 16m;
    fanout_kafka  main { bootstrap.servers %%BROKERS%%; fetch.wait.max.ms 10; }
    fanout_allow  subscribe *;
    add_header    X-Pid $pid always;
    %%DIRECTIVES%%

    server {
        listen 127.0.0.1:%%PORT_1%%;

        location /ws     { fanout_websocket bare; }
        location /echo   { fanout_websocket echo; fanout_frame_max 8m; }
        location /status { fanout_status; }
    }
}
EOC
                           workers => $workers,
                           name => "nginx of $workers, $directives",
                           vars => { DIRECTIVES => $directives });

    return $t->start;
}


# statuses in the access log
sub logged {
    my ($path) = @_;

    return grep { $_ } map { m{"GET $path HTTP/1\.1" (\d+) } && $1 }
           split /\n/, $t->read_file('access.log');
}


# [what was said, after how many seconds] of each
sub goodbyes {
    my ($start, @sessions) = @_;

    my %left = map { fileno($_->{socket}) => $_ } @sessions;
    my @times;

    while (%left) {
        my $rin = '';
        vec($rin, $_, 1) = 1 for keys %left;

        select($rin, undef, undef, 30) or die "no goodbye in time\n";

        for my $fd (grep { vec($rin, $_, 1) } keys %left) {
            my $ws = delete $left{$fd};

            push @times, [$ws->read_described, time() - $start];
            $ws->send_close(1001);
            ok($ws->read_end, 'and the end');
            $ws->abort;
        }
    }

    return @times;
}


# a connection of an old worker whose next request has begun, so that a quit
# does not close it; with the pid of that worker
sub late {
    my ($path) = @_;

    my $ws = $class->open(port => $t->port);

    $ws->{key} = 'dGhlIHNhbXBsZSBub25jZQ==';
    $ws->{rest} = join "\r\n", 'TP/1.1', 'Host: x', 'Upgrade: websocket',
                  'Connection: Upgrade', 'Sec-WebSocket-Version: 13',
                  "Sec-WebSocket-Key: $ws->{key}", '', '';

    $ws->write("GET /none HTTP/1.1\r\nHost: x\r\n\r\nGET $path HT");
    $ws->read_response;
    $ws->{buf} = '';
    $ws->{pid} = $ws->{headers}{'x-pid'} // die "no X-Pid\n";

    return $ws;
}


sub goes_on {
    my ($ws) = @_;

    $ws->write($ws->{rest});
    $ws->read_response;
    is($ws->{status}, 101, 'a late one is accepted');
    is($ws->{headers}{'x-pid'}, $ws->{pid}, 'by its old worker');

    return $ws;
}


for my $workers (few_workers()) {

    # without fanout_drain they stay as long as they like

    begin($workers, '');

    my $stream = Test::Fanout::Stream->new($broker, 'prices');

    $stream->join($t->subscribe('prices')) for 1 .. 8;
    $stream->join($t->subscribe('prices/k1'), 'k1');
    settled($t, 9);
    is($stream->wrong, '', 'served');

    my $echo = $t->ws('/echo');
    my $late = late('/ws');
    my @pids = $t->reload;

    wait_for(sub { $t->worker_pids == $workers }, 10, 'old workers leave');

    goes_on($late);
    $late->read_described;
    $late->text('prices/k2');
    $stream->join($late, 'k2');

    $stream->settle;
    is($stream->wrong, '', 'no drain: served after a reload');
    $echo->text('x');
    is($echo->read_described, 'text: x', 'echo as well');
    is(logged('/echo'), 0, 'no line while it lives');
    is($echo->close, 1000, 'until it leaves');

    $t->signal('QUIT');
    wait_for(sub { $t->worker_pids == 0 }, 10, 'all workers leave');
    $stream->settle;
    is($stream->wrong, '', 'and after a quit');
    is($_->close, 1000, 'until it leaves') for $stream->sessions;
    $t->ended(30);
    is(join(' ', logged('/ws')), join(' ', (101) x 10), 'a line for each');

    # each is told to go, one after the other

    begin($workers, 'fanout_drain 2s;');

    my @all = ((map { $t->subscribe('prices') } 1 .. 20),
               (map { $t->ws('/echo') } 1 .. 20));
    my @late = (late('/ws'), late('/echo'), late('/ws'));
    settled($t, 20);

    my $start = time();
    @pids = $t->reload;

    goes_on($late[0])->read_described;
    push @all, goes_on($late[1]), $late[0];

    my @times = goodbyes($start, @all);
    my @at = sort { $a <=> $b } map { $_->[1] } @times;

    is(scalar(grep { $_->[0] eq 'close 1001 going away' } @times), 42,
       'drain: all are told');
    cmp_ok($at[-1], '>', 1.8, 'the last one at the end') or diag("@at");
    cmp_ok($at[0], '<', 1.5, 'the first one early') or diag("@at");
    cmp_ok(scalar(grep { $_ < 1 } @at), '<', 35, 'not all at once')
        or diag("@at");

    # whose worker waits for a request only, and has no session to drain

    is(join(' ', goes_on($late[2])->read_close), '1001 going away',
       'who comes after that time is told at once');
    $late[2]->send_close(1001);
    ok($late[2]->read_end, 'and the end');
    $late[2]->abort;
    $t->wait_gone(20, @pids);
    is(join(' ', logged('/ws'), logged('/echo')), join(' ', (101) x 43),
       'a line for each');

    # a quit is the same; who does not read is not waited for

    @all = map { $t->subscribe('prices') } 1 .. 5;
    settled($t, 5);

    my $slow = $t->ws('/echo', rcvbuf => 4096);

    $slow->write($class->frame(opcode => 2, payload => 'y' x 2 ** 22));
    wait_for(sub { $t->status->{total}{writes_partial} }, 10, 'a slow one');

    $start = time();
    $t->signal('QUIT');
    @times = goodbyes($start, @all);
    is(scalar(grep { $_->[0] eq 'close 1001 going away' } @times), 5,
       'quit: all are told');
    $t->ended(30);
    is(() = logged('/echo'), 22, 'a line for the slow one');
    $slow->abort;
}

done_testing();
