package Test::Fanout::Hostile;

# An nginx for hostile clients, with an embedded broker, beside whom a decent
# one is served all the time.
#
#     my $h = Test::Fanout::Hostile->new(workers => 2, conf => 'location ...');
#
#     ...                          whatever they do
#     $h->unharmed('a flood');     all of them are gone, nothing stays
#     $h->stop;
#
# The configuration adds to a server on %%PORT_1%%, and with TLS on
# %%PORT_2%%, with the locations /ws (bare) and /echo.  Nobody is pinged if it
# does not say so: who is not read from in a slow test is not to be ended.

use strict;
use warnings;

use Exporter qw(import);
use IO::Socket::INET;
use Socket qw(SOL_SOCKET SO_LINGER);
use Test::More;
use Time::HiRes qw(time);

use Test::Fanout;
use Test::Fanout::Broker;
use Test::Fanout::Status;

our @EXPORT = qw(fewest_and_most);

my $conf = <<'EOC';
events { worker_connections %%CONNECTIONS%%; }
http {
    fanout_zone   main 16m;
    fanout_linger 500ms;
    fanout_kafka  main { bootstrap.servers %%BROKERS%%; fetch.wait.max.ms 10; }
    fanout_allow  subscribe *;
    fanout_ping   10m 10m;

    ssl_certificate      %%CERT%%;
    ssl_certificate_key  %%KEY%%;

    server {
        listen 127.0.0.1:%%PORT_1%% sndbuf=64k backlog=4096;
        listen 127.0.0.1:%%PORT_2%% ssl sndbuf=64k;

        location /ws     { fanout_websocket; }
        location /echo   { fanout_websocket echo; }
        location /status { fanout_status; }
        %%CONF%%
    }
}
EOC


# of the numbers of workers to test with
sub fewest_and_most {
    my @n = workers();

    return @n > 1 ? @n[0, -1] : @n;
}


# options: workers, conf, name, connections (a worker)
sub new {
    my ($class, %o) = @_;

    my $broker = Test::Fanout::Broker->new(news => 4);
    my $text = $conf =~ s/%%CONF%%/$o{conf} \/\/ ''/er;

    my $t = Test::Fanout->new("events {}\nhttp {\n}\n",
                brokers => $broker->servers, workers => $o{workers} || 1,
                name => $o{name} || 'nginx', preload => 'heap.so',
                vars => { CONNECTIONS => $o{connections} || 4096 });

    @{ $t->{vars} }{qw(CERT KEY)} = $t->certificate;
    $t->configure($text);
    $t->start;

    my $self = bless { broker => $broker, t => $t, n => 0 }, $class;

    $self->{witness} = $t->subscribe('news/witness');
    settled($t, 1);
    $self->{total} = $t->status->{total};

    return $self;
}


sub t { $_[0]{t} }


# a record comes to that client; in how many ms
sub record_ms {
    my ($self, $ws, $key) = @_;

    my $value = ++$self->{n};
    my $begin = time();

    $self->{broker}->produce('news', [$key, $value]);

    my $pair = eval { join ' ', $ws->read_pair } // "nothing: $@";

    return $pair eq "$key $value" ? 1000 * (time() - $begin)
                                  : (diag($pair), undef)[1];
}


# nothing is left of the others, and a new client is served as the witness is
sub unharmed {
    my ($self, $name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my ($t, $left) = ($self->{t});

    eval {
        wait_for(sub {
            my $total = $t->status->{total};

            $left = join ' ', map { "$_=$total->{$_}" }
                              grep { $total->{$_} != $self->{total}{$_} }
                              qw(sessions subscriptions filters feeds chunks
                                 chunk_bytes sources);
            return $left eq '';
        }, 20);
    };

    is($left, '', "$name: nothing stays");

    my $before = served($t->status);
    my $new = $t->subscribe('news/new');

    wait_for(sub { served($t->status) > $before }, 10, 'a new client');

    ok(defined $self->record_ms($new, 'new'), "$name: a new client is served");
    ok(defined $self->record_ms($self->{witness}, 'witness'),
       "$name: and so are others");

    $new->close;
    is(scalar(() = $t->faults), 0, "$name: no fault in the log")
        or diag($t->faults);
}


# The latencies (p50 and p99, ms) of a load that checks every record.  "code"
# begins something, and returns how to end it.
sub latency {
    my ($self, $code) = @_;

    my ($t, $count) = ($self->{t}, 240);

    # numbers of their own, for the records of the last time

    my $first = $self->{first} += $count;
    my $before = $t->status->{total}{subscriptions};
    my $load = $t->load('--sessions', 8, '--filter', 'news/key-%d', '--mod',
                        8, '--keys', 8, '--first', $first, '--expect-each',
                        $count / 8, '--timeout', 90);

    $load->line(60);
    wait_for(sub { $t->status->{total}{subscriptions} == $before + 8 }, 10,
             'the load');

    my $producer = $self->{broker}->start_producing('news', '--count',
                       $count, '--rate', 200, '--keys', 8, '--first', $first);

    my $end = $code && $code->();
    my $figures = $t->figures($load, 100);

    $producer->wait(30);
    $end->() if $end;

    wait_for(sub { $t->status->{total}{subscriptions} <= $before }, 20,
             'the end of the load');

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    is(broken($figures), '', 'others get every record')
        or diag(explain($figures));

    return map { $figures->{latency_us}{$_} / 1000 } qw(p50 p99);
}


# half of it is no more than ten times as late as without that, and 0.5 s
sub unhurried {
    my ($self, $name, $code) = @_;

    $self->{calm} ||= [$self->latency];

    my @calm = @{ $self->{calm} };
    my @now = $self->latency($code);

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my $text = sprintf '%s: p50 %.1f, p99 %.1f ms; before %.1f, %.1f', $name,
               @now, @calm;

    note($text);
    cmp_ok($now[0], '<', $calm[0] * 10 + 500, $text);
}


# storm with these bytes: its figures
sub storm {
    my ($self, $bytes, @args) = @_;

    my $t = $self->{t};
    my $process = Test::Fanout::Process->new(
        cmd => [util('storm'), '--port', $t->port, @args], in => 1);

    print { $process->{to} } $bytes;
    $process->close_in;

    return $t->figures($process, 200);
}


# the bytes of a request for a websocket
sub request {
    my ($self, $path) = @_;

    return "GET $path HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\n"
           . "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
           . "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";
}


# what a client of TLS says first
sub hello {
    my $listen = IO::Socket::INET->new(LocalAddr => '127.0.0.1', Listen => 1)
        or die "listen: $!\n";
    my $client = Test::Fanout::Process->new(
        cmd => ['openssl', 's_client', '-connect',
                '127.0.0.1:' . $listen->sockport],
        out => '/dev/null', err => '/dev/null');
    my $peer = $listen->accept or die "accept: $!\n";

    sysread $peer, my $bytes, 65536;
    close $peer;
    $client->stop('TERM');

    return $bytes;
}


# no goodbye, but a RST
sub reset {
    my ($self, @ws) = @_;

    for my $ws (@ws) {
        setsockopt $ws->{socket}, SOL_SOCKET, SO_LINGER, pack 'ii', 1, 0;
        $ws->abort;
    }
}


sub stop {
    my ($self) = @_;

    $self->{witness}->close;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    is(quiet($self->{t}), '', 'nothing is left');
    $self->{t}->stop;
    $self->{broker}->stop;
}


1;
