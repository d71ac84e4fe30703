#!/usr/bin/perl

# The opening handshake of a websocket, RFC 6455 section 4.2: what is
# accepted, with which answer, and how everything else is refused.

use strict;
use warnings;

use Test::More;
use Test::Fanout;

my $t = Test::Fanout->new(<<'EOC');
events {}

http {
    fanout_zone  main 16m;
    fanout_kafka main { bootstrap.servers 127.0.0.1:1; }

    server {
        listen 127.0.0.1:%%PORT_1%%;

        location /ws   { fanout_websocket echo; }
        location /two  { fanout_websocket bare echo; }

        location /origins {
            fanout_websocket  echo;
            fanout_origins    https://app.example.com https://*.example.org
                              http://[::1]:8080;
        }

        location /anyone   { fanout_websocket echo; fanout_origins *; }
        location /include  { ssi on; default_type text/html; }
        location /redirect { error_page 418 /ws; return 418; }
        location /answered { error_page 418 =200 /ws; return 418; }
        location /try      { try_files /nothing /ws; }

        location /named {
            error_page 426 403 405 =499 /never;
            fanout_websocket echo;
        }

        location /limited { limit_rate 99; fanout_websocket echo; }
        location /status  { fanout_status; }
    }

    server {
        listen 127.0.0.1:%%PORT_2%% http2;
        location /ws { fanout_websocket echo; }
    }
}
EOC

mkdir $t->dir . '/html';
chmod 0755, $t->dir . '/html';
mkdir $t->dir . '/html/include';
chmod 0755, $t->dir . '/html/include';
$t->write_file('html/include/page', 'a<!--#include virtual="/ws" -->b');

$t->start;


# connects with these options; the answer
sub answer {
    my (%o) = @_;

    return Test::Fanout::WebSocket->connect(port => $t->port, %o);
}


# is a session with a working echo; ends it
sub works {
    my ($ws, $name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    is($ws->{status}, 101, "$name: accepted") or return diag($ws->{raw});
    $ws->text($name);
    is($ws->read_described, "text: $name", "$name: works");
    is($ws->close, 1000, "$name: closed");
}


# is refused with that status, text, and headers
sub refused {
    my ($ws, $status, $name, $text, %headers) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    is($ws->{status}, $status, "$name: $status");
    like($ws->{body}, $text, "$name: text") if $text;
    is($ws->{headers}{$_}, $headers{$_}, "$name: $_") for sort keys %headers;
    $ws->abort;
}


# what is accepted

my $ws = answer(set => { 'Sec-WebSocket-Key' => 'dGhlIHNhbXBsZSBub25jZQ==' });

is($ws->{headers}{'sec-websocket-accept'}, 's3pPLMBiTxaQ9kYGzzhZRbK+xOo=',
   "the accept value of RFC 6455's example");
like($ws->{raw}, qr{^HTTP/1\.1 101 Switching Protocols\r\n}, 'status line');
is($ws->{headers}{connection}, 'upgrade', 'Connection is one word');
is($ws->{headers}{upgrade}, 'websocket', 'Upgrade');
is($ws->{headers}{'sec-websocket-protocol'}, undef, 'no subprotocol unasked');
is($ws->{headers}{'sec-websocket-extensions'}, undef, 'no extension');
is($ws->{headers}{$_}, undef, "no $_")
    for qw(content-length transfer-encoding content-type);
works($ws, 'the example');

works(answer(set => { 'Connection' => undef, 'Upgrade' => undef },
             headers => ['connection' => 'keep-alive',
                         'UPGRADE' => 'h2c, , h3',
                         'CONNECTION' => "close ,\tUPGRADE,x",
                         'upgrade' => 'WebSocket']),
      'tokens on several lines');
works(answer(headers => ['Content-Length' => 0]), 'a body of nothing');
works(answer(headers => ['Sec-WebSocket-Extensions' =>
                         'permessage-deflate; client_max_window_bits']),
      'an extension offered');
works(answer(path => '/ws/below?a=b'), 'a path below, and arguments');
works(answer(path => '/redirect'), 'by way of error_page');
works(answer(path => '/answered'), 'by way of error_page with a status');
works(answer(path => '/try'), 'by way of try_files');
works(answer(path => '/limited'), 'with limit_rate');

# bytes that come with the request are the first frames

my $class = 'Test::Fanout::WebSocket';

$ws = answer(trailing => $class->frame(payload => 'one')
                         . $class->frame(opcode => 2, payload => 'two' x 99)
                         . substr($class->frame(payload => 'three',
                                                mask => 'abcd'), 0, 8));
is($ws->read_described, 'text: one', 'a first frame in the same segment');
is($ws->read_described, 'binary: ' . 'two' x 99, 'a second');
$ws->write(substr($class->frame(payload => 'three', mask => 'abcd'), 8));
is($ws->read_described, 'text: three', 'a third that was cut');
is($ws->close, 1000, 'closed');

$ws = answer(trailing => $class->frame(opcode => 8,
                                       payload => pack('n', 1001)));
is_deeply([$ws->read_close], [1001, ''], 'a Close in the same segment');
ok($ws->read_end, 'and the end');

# after another request on the same connection

$ws = $class->open(port => $t->port);
$ws->write("GET /nothing HTTP/1.1\r\nHost: a\r\n\r\n");
$ws->read_response;
is($ws->{status}, 404, 'a request before');
$ws->{buf} = '';
$ws->write("GET /ws HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
           . "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
           . "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n");
$ws->read_response;
works($ws, 'on a kept connection');

# subprotocols: the first one of the client's that is offered

for (['/two', 'echo', 'echo'], ['/two', 'nats, echo,bare', 'echo'],
     ['/ws', ', echo ,', 'echo'])
{
    my ($path, $asked, $chosen) = @$_;

    $ws = answer(path => $path, protocol => $asked);
    is($ws->{headers}{'sec-websocket-protocol'}, $chosen, "of $asked");
    works($ws, $asked);
}

$ws = answer(path => '/two', headers => ['Sec-WebSocket-Protocol' => 'x',
                                         'Sec-WebSocket-Protocol' => 'bare']);
is($ws->{headers}{'sec-websocket-protocol'}, 'bare', 'on the second line');
is($ws->read_described, "text: what topic/key do you want?\n", 'which it is');
$ws->abort;

$ws = answer(path => '/two');
is($ws->{headers}{'sec-websocket-protocol'}, undef, 'none asked, none told');
is($ws->read_described, "text: what topic/key do you want?\n",
   'the first of the location');
$ws->abort;

refused(answer(path => '/two', protocol => 'nats'), 400, 'an unknown one',
        qr/^offered subprotocols: bare echo\n$/);
refused(answer(path => '/two', protocol => 'Echo'), 400, 'another case');
refused(answer(path => '/two', protocol => ''), 400, 'an empty one');
refused(answer(path => '/two', protocol => 'a b'), 400, 'no token',
        qr/^bad Sec-WebSocket-Protocol\n$/);

# what is refused

refused(answer(method => 'POST'), 405, 'POST');
refused(answer(method => 'OPTIONS'), 405, 'OPTIONS');
refused(answer(http => 'HTTP/1.0'), 400, 'HTTP/1.0',
        qr{^websocket needs HTTP/1\.1\n$});

refused(answer(set => { 'Upgrade' => undef }), 426, 'no Upgrade', undef,
        upgrade => 'websocket');
refused(answer(set => { 'Upgrade' => 'websockets' }), 426, 'another Upgrade',
        undef, upgrade => 'websocket');
refused(answer(set => { 'Connection' => 'keep-alive' }), 426,
        'no token in Connection', undef, upgrade => 'websocket');
refused(answer(set => { 'Connection' => 'x-upgrade' }), 426,
        'a part of a token', undef, upgrade => 'websocket');

refused(answer(set => { 'Sec-WebSocket-Version' => $_ }), 426,
        'version ' . ($_ // 'none'), qr/^websocket version must be 13\n$/,
        'sec-websocket-version' => 13, upgrade => 'websocket')
    for undef, 8, 12, 14, 130, '13, 8', '0x13', '';
refused(answer(headers => ['Sec-WebSocket-Version' => 13]), 426,
        'version twice');

refused(answer(set => { 'Sec-WebSocket-Key' => $_ }), 400,
        'key ' . ($_ // 'none'), qr/Sec-WebSocket-Key/)
    for undef, '', 'AAAA', 'A' x 24, 'A' x 20 . '==', 'A' x 23 . '=',
        'AAAAAAAAAA AAAAAAAAAAA==', '-' x 22 . '==', 'A' x 26 . '==';
refused(answer(headers => ['Sec-WebSocket-Key' =>
                           'AAAAAAAAAAAAAAAAAAAAAA==']), 400, 'key twice');

refused(answer(headers => ['Content-Length' => 4], trailing => 'body'), 400,
        'a body', qr/^a websocket request has no body\n$/);
refused(answer(headers => ['Transfer-Encoding' => 'chunked'],
               trailing => "0\r\n\r\n"), 400, 'a chunked body');
refused(answer(path => '/named', set => { 'Upgrade' => undef }), 426,
        'error_page takes no text of ours');

# the connection goes on after a refusal

$ws = answer(path => '/two', protocol => 'nats');
$ws->{buf} = '';
$ws->write("GET /two HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
$ws->read_response;
is($ws->{status}, 426, 'another request after a refusal');
ok($ws->read_end, 'and the end');

# origins

my $own = '127.0.0.1:' . $t->port;

for (["http://$own", 101], ["HTTP://$own", 101], ['https://127.0.0.1', 403],
     ['http://127.0.0.1', 403], ["http://$own.evil.org", 403],
     ["http://$own\@evil.org", 403], ['null', 403], ['', 403],
     ["http://$own/", 403], ["http://$own http://$own", 403])
{
    my ($origin, $want) = @$_;

    my $got = answer(headers => [Origin => $origin]);
    is($got->{status}, $want, "origin \"$origin\": $want");
    $got->abort;
}

refused(answer(headers => [Origin => "http://$own", Origin => "http://$own"]),
        403, 'two origins');

for (['https://app.example.com', 101], ['https://app.example.com:443', 101],
     ['http://app.example.com', 403], ['https://a.b.example.org', 101],
     ['https://example.org', 403], ['https://evilexample.org', 403],
     ['http://[::1]:8080', 101], ['http://[::1]', 403],
     ["http://$own", 403], ['null', 403])
{
    my ($origin, $want) = @$_;

    my $got = answer(path => '/origins', headers => [Origin => $origin]);
    is($got->{status}, $want, "named origins, \"$origin\": $want");
    $got->abort;
}

works(answer(path => '/origins'), 'no origin');
works(answer(path => '/anyone', headers => [Origin => 'null']), 'any origin');

# a subrequest, and HTTP/2, which curl speaks

my $page = $t->get('/include/page', set => {
    'Upgrade' => 'websocket', 'Connection' => 'close, upgrade',
    'Sec-WebSocket-Key' => 'AAAAAAAAAAAAAAAAAAAAAA==',
    'Sec-WebSocket-Version' => 13 });

is($page->{status}, 200, 'a page that includes a websocket');
like($page->{body}, qr/websocket needs HTTP/, 'which is refused');
$page->abort;

my $curl = Test::Fanout::Process->new(
    cmd => ['curl', '-s', '--http2-prior-knowledge', '-w', '%{http_code}\n',
            'http://127.0.0.1:' . $t->port(2) . '/ws']);
is($curl->line, 'websocket needs HTTP/1.1', 'HTTP/2: text');
is($curl->line, '400', 'HTTP/2: 400');
$curl->wait;

# none of them is left

wait_for(sub { $t->status->{total}{sessions} == 0 }, 10, 'no session');
$t->stop;

done_testing();
