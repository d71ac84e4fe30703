#!/usr/bin/perl

# Clients as they come: Python's websockets, and Node's ws where it is
# installed, against the dialect "echo".

use strict;
use warnings;

use Test::More;
use Test::Fanout;
use Test::Fanout::Process;

my $conf = <<'EOC';
events {}

http {
    fanout_zone  main 16m;

    ssl_certificate      %%CERT%%;
    ssl_certificate_key  %%KEY%%;

    server {
        listen 127.0.0.1:%%PORT_1%%;
        listen 127.0.0.1:%%PORT_2%% ssl;

        location /echo {
            fanout_websocket  echo;
            fanout_frame_max  1m;
            fanout_ping       200ms 10s;
        }

        location /status { fanout_status; }
    }
}
EOC

my $python = <<'EOS';
import asyncio, ssl, sys
import websockets

async def pieces():
    for text in ("a", "", "b", "\u20ac"):
        yield text

async def one(uri, tls, n):
    async with websockets.connect(uri, ssl=tls, subprotocols=["echo"],
                                  max_size=2 ** 21) as ws:
        assert ws.subprotocol == "echo"
        assert not ws.extensions
        for data in ("", "hello %d" % n, "\u20ac" * 1000, b"\x00\xff" * 30000,
                     b"x" * 2 ** 20):
            await ws.send(data)
            assert await ws.recv() == data
        await ws.send(pieces())
        assert await ws.recv() == "ab\u20ac"
        await asyncio.wait_for(await ws.ping(b"p"), 10)
        for i in range(200):
            await ws.send(str(i))
        for i in range(200):
            assert await ws.recv() == str(i)
    assert ws.close_code == 1000, ws.close_code

async def too_big(uri, tls):
    async with websockets.connect(uri, ssl=tls) as ws:
        try:
            await ws.send(b"x" * (2 ** 20 + 1))
            await ws.recv()
        except websockets.ConnectionClosed:
            pass
    assert ws.close_code == 1009, ws.close_code

async def refused(uri, tls):
    try:
        await websockets.connect(uri, ssl=tls, subprotocols=["other"])
    except websockets.InvalidStatusCode as e:
        assert e.status_code == 400
    else:
        assert False

async def quiet(uri, tls):
    async with websockets.connect(uri, ssl=tls, ping_interval=None) as ws:
        pong, pings = ws.pong, asyncio.Semaphore(0)

        async def counted(data=b""):
            await pong(data)
            pings.release()

        ws.pong = counted
        for n in range(3):
            await asyncio.wait_for(pings.acquire(), 10)
        await ws.send("after pings")
        assert await ws.recv() == "after pings"

async def main(uri):
    tls = None
    if uri.startswith("wss"):
        tls = ssl.create_default_context(cafile=sys.argv[2])
    await asyncio.gather(*(one(uri, tls, n) for n in range(20)))
    await asyncio.gather(too_big(uri, tls), refused(uri, tls),
                         quiet(uri, tls))
    print("good")

asyncio.run(main(sys.argv[1]))
EOS

my $node = <<'EOS';
const WebSocket = require('ws');
const ws = new WebSocket(process.argv[2], 'echo');
const sent = ['', 'hello', '\u20ac'.repeat(1000), Buffer.alloc(1 << 20, 7)];
let n = 0;

ws.on('open', () => { sent.forEach(x => ws.send(x)); ws.ping('p'); });
ws.on('pong', () => { n += 10; });
ws.on('message', (data, binary) => {
    const want = sent[n % 10];
    if (Buffer.compare(data, Buffer.from(want))
        || binary != (typeof want != 'string')) process.exit(2);
    if (++n % 10 == sent.length) ws.close(4001, 'bye');
});
ws.on('close', code => {
    if (code == 4001 && n == 14 && ws.protocol == 'echo') console.log('good');
});
EOS


sub good {
    my ($name, @cmd) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my $process = Test::Fanout::Process->new(cmd => \@cmd);

    is($process->line(60), 'good', $name);
    is($process->wait(10), 0, "$name: its exit code");
}


for my $workers (few_workers()) {
    my $t = Test::Fanout->new("events {}\nhttp {\n}\n", workers => $workers,
                              name => "nginx of $workers");

    @{ $t->{vars} }{qw(CERT KEY)} = $t->certificate;
    $t->configure($conf);
    $t->start;

    my $script = $t->write_file('stock.py', $python);
    my $address = "127.0.0.1:" . $t->port(1) . '/echo';
    my $secure = "localhost:" . $t->port(2) . '/echo';

    good('websockets', '/usr/bin/python3', $script, "ws://$address");
    good('websockets, TLS', '/usr/bin/python3', $script, "wss://$secure",
         $t->{vars}{CERT});

  SKIP: {
        skip 'no ws', 2
            if system('node -e "require(\'ws\')" >/dev/null 2>&1') != 0;

        $script = $t->write_file('stock.js', $node);
        good('ws', 'node', $script, "ws://$address");
    }

    wait_for(sub { $t->status->{total}{sessions} == 0 }, 10, 'no session');
    $t->stop;
}

done_testing();
