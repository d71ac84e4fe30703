#!/usr/bin/perl

# The command-line client prints what it is sent, says in words what went
# wrong, and ends with a code that a script can use.

use strict;
use warnings;

use IO::Socket::INET;
use Test::More;
use Test::Fanout;
use Test::Fanout::Broker;
use Test::Fanout::Process;

my $broker = Test::Fanout::Broker->new(prices => 2);

my $t = Test::Fanout->new(<<'EOC', brokers => $broker->servers, workers => 2);
events {}

http {
    fanout_zone  main 16m;
    fanout_kafka main { bootstrap.servers %%BROKERS%%; fetch.wait.max.ms 10; }

    server {
        listen 127.0.0.1:%%PORT_1%%;

        location /ws {
            fanout_websocket bare;
            fanout_allow subscribe prices gone;
        }

        location /fixed {
            fanout_websocket bare;
            fanout_allow subscribe *;
            fanout_filter prices/EURUSD;
        }

        location /echo   { fanout_websocket echo; }
        location /status { fanout_status; }
        location /page   { return 200 "no websocket\n"; }
        location /secret { return 401; }
        location /full   { return 503; }
    }
}
EOC

$t->start;

my $client = $0 =~ s{t/[^/]+$}{examples/fanout_client.py}r;
my $runs = 0;


sub uri { 'ws://127.0.0.1:' . $t->port . $_[0] }


# with its words in a file
sub client {
    my (@args) = @_;

    my $err = $t->dir . '/client' . ++$runs;

    return Test::Fanout::Process->new(
        cmd => ['/usr/bin/python3', $client, @args], err => $err,
        words => 'client' . $runs);
}


# filters that have been served so far
sub served {
    my $sum = 0;

    $sum += $_->{n} for @{ $t->status->{total}{subscribe_ms} };

    return $sum;
}


# one that has subscribed, to another filter than those before
sub subscribed {
    my (@args) = @_;

    my $before = served();
    my $process = client(@args);

    wait_for(sub { served() > $before }, 20, 'a subscription');

    return $process;
}


# to its end: its exit code and words
sub ended {
    my ($process) = @_;

    my $status = $process->wait(20);

    return 'hangs' if !defined $status;
    return ($status >> 8) . ' ' . $t->read_file($process->{words})
               =~ s/^fanout_client: //gmr =~ s/\n\z//r;
}


# -- records

my @prices = ('--uri', uri('/ws'), '--topic', 'prices');

my $all = subscribed(@prices, '--count', 4);
my $key = subscribed(@prices, '--key', 'EURUSD');
my $prefix = subscribed(@prices, '--prefix', 'EUR', '--label', '> ');
my $odd = subscribed(@prices, '--key', "a/*%\xff");

$broker->produce('prices', ['--partition', 0], ['EURUSD', '1.09'],
                 ['USDCHF', '0.88'], ["a/*%\xff", "\x00\n\xfe"],
                 [undef, "gr\xc3\xbc\xc3\x9fe"]);

is_deeply([map { $all->line } 1 .. 4],
          ["EURUSD\t1.09", "USDCHF\t0.88", "a/*%\\xff\t\\x00\\n\\xfe",
           "\tgr\xc3\xbc\xc3\x9fe"], 'pairs of a whole topic');
is(ended($all), '0 ', 'as many as asked for');

is($key->line, "EURUSD\t1.09", 'of a key');
is($prefix->line, "> EURUSD\t1.09", 'of a prefix, with a label');
is($odd->line, "a/*%\\xff\t\\x00\\n\\xfe", 'of a key of any bytes');

$key->signal('INT');
is(ended($key), '0 ', 'Ctrl-C');
$prefix->signal('TERM');
is(ended($prefix), '0 ', 'SIGTERM');
$odd->signal('INT');
ended($odd);

wait_for(sub { $t->status->{total}{sessions} == 0 }, 10, 'no session');

my $fixed = subscribed('--uri', uri('/fixed'), '--count', 1);

$broker->produce('prices', ['EURUSD', '1.10']);
is($fixed->line, "EURUSD\t1.10", 'what the configuration says');
is(ended($fixed), '0 ', 'and no more');

# -- what goes wrong

$broker->create('gone', 1);
$broker->tell('error', 'gone', 'UNKNOWN_TOPIC_OR_PART');

sub fails {
    my ($what, $end, @args) = @_;

    is(ended(client(@args)), $end, $what);
}

fails('no topic', '3 the server asks for a topic: --topic is needed',
      '--uri', uri('/ws'));
fails('another topic', '3 not allowed (1008)',
      '--uri', uri('/ws'), '--topic', 'orders');
fails('an unknown topic', '3 unknown topic (1008)',
      '--uri', uri('/ws'), '--topic', 'gone');
fails('an impossible topic',
      '3 bad subscription: illegal byte in the topic (1008)',
      '--uri', uri('/ws'), '--topic', 'a b');
fails('another path', '1 there is nothing at this path (HTTP 404)',
      '--uri', uri('/none'));
fails('a page', '1 this is no websocket (HTTP 200)', '--uri', uri('/page'));
fails('no password', '1 the server wants a user and a password, or others '
      . '(HTTP 401)', '--uri', uri('/secret'));
fails('no room', '4 the server has no room, try later (HTTP 503)',
      '--uri', uri('/full'));
fails('no server', q{1 can't connect: Connection refused},
      '--uri', 'ws://127.0.0.1:' . free_port() . '/');
fails('no URI', '1 not a websocket URI: nonsense', '--uri', 'nonsense');
fails('no TLS', '1 TLS: WRONG_VERSION_NUMBER',
      '--uri', uri('/ws') =~ s/^ws/wss/r);

my $usage = client('--key', 'x');
like(ended($usage), qr/\A2 usage.*--key and --prefix need a --topic\z/s,
     'usage');

# -- a server that says what ours says rarely, or breaks

# a short frame of the client
sub heard {
    my ($ws) = @_;

    1 while length $ws->{buf} < 6 && $ws->fill;

    my $len = ord(substr $ws->{buf}, 1, 1) & 0x7f;

    1 while length $ws->{buf} < 6 + $len && $ws->fill;

    my ($mask, $payload) = unpack "x2 a4 a$len",
                                  substr $ws->{buf}, 0, 6 + $len, '';

    return $payload ^ substr $mask x 32, 0, $len;
}



sub fake {
    my ($what, $end, @frames) = @_;

    my $listen = IO::Socket::INET->new(LocalAddr => '127.0.0.1',
                                       Listen => 1) or die "listen: $!\n";
    my $process = client('--uri', 'ws://127.0.0.1:' . $listen->sockport,
                         '--topic', 'x', '--count', 1);

    my $socket = $listen->accept or die "accept: $!\n";
    my $ws = bless { socket => $socket, buf => '', eof => 0, pongs => 1,
                     timeout => 10 }, 'Test::Fanout::WebSocket';

    1 while $ws->{buf} !~ /\r\n\r\n/ && $ws->fill;
    ($ws->{key}) = $ws->{buf} =~ /^Sec-WebSocket-Key: (\S+)/mi;
    $ws->{buf} = '';

    $ws->write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
               . "Connection: upgrade\r\nSec-WebSocket-Accept: "
               . $ws->accept_value . "\r\n\r\n");

    for my $frame (@frames) {
        my ($opcode, $payload) = @$frame;

        if ($opcode eq 'read') {
            is(heard($ws), $payload, "$what: reply");
            next;
        }

        $ws->send_frame(opcode => $opcode, payload => $payload,
                        mask => undef);
    }

    $ws->abort;

    is(ended($process), $end, $what);
    return $process;
}

my @dialogue = ([1, "what topic/key do you want?\n"], ['read', 'x']);

fake('gaps', "0 gap: 7 records were missed\ngap: records were missed, "
     . 'nobody knows how many', @dialogue, [1, "gap 7\n"], [1, "gap\n"],
     [2, 'k'], [2, 'v'], ['read', pack 'n', 1000], [8, pack 'n', 1000]);
fake('unreachable', '4 kafka unreachable, try later (1013)', @dialogue,
     [1, "kafka unreachable, try later\n"],
     [8, pack 'na*', 1013, 'kafka unreachable, try later']);
fake('going away', '4 the server is going away, try again (1001)',
     @dialogue, [8, pack 'na*', 1001, 'going away']);
fake('a lost connection', '5 the connection was lost (1006)', @dialogue);
fake('a fixed filter', '3 the server sends what it is configured to: leave '
     . '--topic out', [2, 'k'], [2, 'v']);

$t->stop;

done_testing();
