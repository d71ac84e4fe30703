#!/usr/bin/perl

# Websockets behind "listen ... ssl": the same sessions, on a connection that
# buffers on its own.

use strict;
use warnings;

use POSIX ();
use Test::More;
use Test::Fanout;
use Test::Fanout::Broker;
use Test::Fanout::Status;

my $conf = <<'EOC';
events {}

http {
    fanout_zone   main 16m;
    fanout_kafka  main { bootstrap.servers %%BROKERS%%; fetch.wait.max.ms 10; }
    fanout_allow  subscribe *;

    log_format tls '$status $bytes_sent';

    ssl_certificate      %%CERT%%;
    ssl_certificate_key  %%KEY%%;

    server {
        listen 127.0.0.1:%%PORT_2%% ssl sndbuf=64k;

        location /ws     { fanout_websocket echo; }
        location /large  { fanout_websocket echo; fanout_frame_max 2m; }
        location /bare   { fanout_websocket bare; }
        location /slow   { fanout_websocket bare; fanout_pending 16m; }
        location /log    { fanout_websocket echo; access_log
                           %%TESTDIR%%/tls.log tls; }
    }

    server {
        listen 127.0.0.1:%%PORT_1%%;
        location /status { fanout_status; }
    }
}
EOC

my $broker = Test::Fanout::Broker->new(news => 1);
my $class = 'Test::Fanout::WebSocket';
my @tls = (ssl => 1, server => 2);


sub no_session {
    my ($t, $name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    ok(eval { wait_for(sub { $t->status->{total}{sessions} == 0 }, 10) },
       $name);
}


# memory of all workers, KB
sub memory {
    my ($t) = @_;

    my $sum = 0;

    for my $pid ($t->worker_pids) {
        $sum += $t->rss($pid);
    }

    return $sum;
}


for my $workers (few_workers()) {
    my $t = Test::Fanout->new("events {}\nhttp {\n}\n", workers => $workers,
                              name => "nginx of $workers",
                              brokers => $broker->servers);

    @{ $t->{vars} }{qw(CERT KEY)} = $t->certificate;
    $t->configure($conf);
    $t->start;

    # sizes around those of records and of nginx's buffer

    my $ws = $t->ws('/ws', @tls);

    for my $size (0, 1, 125, 126, 4095 .. 4097, 16371 .. 16385,
                  16400, 32768, 65535, 65536)
    {
        my $data = 'abcdefg' x ($size / 7) . 'x' x ($size % 7);

        $ws->binary($data);

        my $frame = $ws->read_frame;
        ok($frame && $frame->{payload} eq $data, "$size bytes");
    }

    # many in one record

    $ws->write(join '', map { $class->frame(payload => "$_") } 1 .. 1000);
    is(join(' ', map { $ws->read_frame->{payload} } 1 .. 1000),
       join(' ', 1 .. 1000), 'many messages in one record');
    is($ws->close, 1000, 'end');

    # the first frames together with the request

    $ws = $t->ws('/ws', @tls, trailing =>
                 $class->frame(payload => 'first')
                 . $class->frame(opcode => 9, payload => 'p')
                 . substr($class->frame(payload => 'cut', mask => 'abcd'),
                          0, 7));
    is($ws->read_described, 'text: first', 'a frame in the same record');
    is($class->can('describe')->($ws->read_frame), 'pong: p', 'and a ping');
    $ws->write(substr $class->frame(payload => 'cut', mask => 'abcd'), 7);
    is($ws->read_described, 'text: cut', 'and one that was cut');

    # errors close as they do without TLS

    $ws->send_frame(opcode => 3);
    is(($ws->read_close)[0], 1002, 'an error');
    ok($ws->read_end, 'and the end');
    $ws->abort;

    # large echoes, to one who reads late, in a small window

    my $data = join '', map { pack 'N', $_ } 1 .. 262144;

    $ws = $t->ws('/large', @tls, rcvbuf => 4096);

    my $writer = fork() // die "fork: $!\n";

    if ($writer == 0) {
        $ws->binary($data) for 1 .. 4;
        POSIX::_exit(0);
    }

    my $other = $t->ws('/ws', @tls);

    for (1 .. 50) {
        $other->text("meanwhile $_");
        $other->read_frame->{payload} eq "meanwhile $_" or last;
        is($_, 50, 'another session meanwhile') if $_ == 50;
    }

    ok($ws->read_frame->{payload} eq $data, "a large echo, $_") for 1 .. 4;
    waitpid $writer, 0;

    # what the other process wrote is not known to this one's TLS

    $ws->{socket}->close(SSL_no_shutdown => 1);
    is($other->close, 1000, 'end');
    no_session($t, 'none is left');

    # records, to one who reads late

    my $late = $t->subscribe('news', path => '/slow', @tls,
                             rcvbuf => 4096);
    my $soon = $t->subscribe('news/k*', path => '/slow', @tls);

    settled($t, 2);

    my @records = map { ["k$_", chr(65 + $_ % 26) x 20000] } 1 .. 200;

    $broker->produce('news', @records);
    is_deeply([map { [$soon->read_pair] } @records], \@records, 'records');
    is_deeply([map { [$late->read_pair] } @records], \@records,
              'records, slowly');
    is($_->close, 1000, 'end') for $soon, $late;

    # an end without a word, in every state

    for my $size (0, 10, 100000) {
        $ws = $t->ws('/large', @tls);
        $ws->binary('x' x $size);
        CORE::close $ws->{socket};
    }

    no_session($t, 'none is left');

    # what the log says was sent is what came

    $ws = $t->ws('/log', @tls);
    my $came = length $ws->{raw};
    $ws->binary('x' x 30000);
    $came += 4 + length $ws->read_frame->{payload};
    is($ws->close, 1000, 'end');
    $came += 4;

    is(wait_for(sub { $t->read_file('tls.log') }), "101 $came\n",
       'bytes in the log');

    # an idle session keeps no TLS buffer: nginx's would be 16 KB

    my (@idle, $before);
    my $n = 80;

    for my $round (0, 1) {
        $before = memory($t);
        push @idle, map { $t->ws($round ? '/ws' : '/bare', @tls) }
                        1 .. $n;
    }

    for my $session (@idle[$n .. 2 * $n - 1]) {
        $session->binary('x' x 20000);
        $session->read_frame;
    }

    my $each = (memory($t) - $before) / $n;

  SKIP: {
        skip 'memory is not measured with sanitizers', 1
            if flavor() eq 'asan';
        diag("idle TLS session: $each KB") if $ENV{FANOUT_DEBUG};
        cmp_ok($each, '<', 60, 'KB of an idle TLS session');
    }

    $_->abort for @idle;
    no_session($t, 'none is left');
    $t->stop;
}

done_testing();
