#!/usr/bin/perl

# A websocket is a request of nginx from the first byte to the last: who may
# come in, what is counted and logged, and what a reload does to it.

use strict;
use warnings;

use Test::More;
use Time::HiRes qw(time);
use Test::Fanout;

my $conf = <<'EOC';
events {}

http {
    fanout_zone  main 16m;

    limit_conn_zone  $server_port zone=conn:1m;
    limit_req_zone   $server_port zone=req:1m rate=2r/s;
    limit_req_zone   $uri zone=never:1m rate=1r/m;

    log_format ws '$remote_addr $remote_user "$request" $status $bytes_sent '
                  '$request_time $request_length $request_completion '
                  '$http_upgrade $sent_http_upgrade '
                  '$sent_http_sec_websocket_protocol $host $arg_a $mine';
    map $arg_a $mine { default none; b yes; }

    server {
        listen 127.0.0.1:%%PORT_1%%;
        root %%TESTDIR%%;

        location /ws {
            fanout_websocket  echo;
            access_log        %%TESTDIR%%/ws.log ws;
        }

        location /auth {
            auth_request      /check;
            auth_request_set  $user $upstream_http_x_user;
            fanout_websocket  echo;
            add_header        X-User $user always;
            add_header        X-Later $mine always;
        }

        location = /check {
            internal;
            proxy_pass http://127.0.0.1:%%PORT_2%%/auth?$http_x_token;
            proxy_pass_request_body off;
            proxy_set_header Upgrade "";
        }

        location /conn {
            limit_conn        conn 2;
            fanout_websocket  echo;
        }

        location /delayed  { limit_req zone=req burst=5;
                             fanout_websocket echo; }
        location /rejected { limit_req zone=never; limit_req_status 429;
                             fanout_websocket echo; }

        location /real {
            set_real_ip_from  127.0.0.1;
            real_ip_header    X-Forwarded-For;
            allow             192.0.2.7;
            deny              all;
            fanout_websocket  echo;
            access_log        %%TESTDIR%%/real.log ws;
        }

        location /denied   { deny all; error_page 403 /why.txt;
                             fanout_websocket echo; }
        location /internal { internal; fanout_websocket echo; }
        location /rewrite  { rewrite ^ /ws?a=b last; }
        location /sub      { auth_request /ws; try_files /why.txt =404; }
        location /mirror   { mirror /copy; fanout_websocket echo; }
        location /copy     { internal; return 204; }
        location /status   { fanout_status; }
    }

    server {
        listen 127.0.0.1:%%PORT_2%%;

        location /auth {
            if ($args = good) { add_header X-User dave; return 204; }
            if ($args = bad)  { return 403; }
            return 401;
        }

        location /ws { proxy_pass http://127.0.0.1:%%PORT_1%%;
                       proxy_http_version 1.1;
                       proxy_set_header Upgrade $http_upgrade;
                       proxy_set_header Connection upgrade; }
    }
}
EOC


sub answer {
    my ($t, $path, %o) = @_;

    return Test::Fanout::WebSocket->connect(port => $t->port($o{server}),
                                            path => $path, %o);
}


sub status_of {
    my $ws = answer(@_);

    $ws->abort;
    return $ws->{status};
}


sub works {
    my ($ws, $name) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    is($ws->{status}, 101, "$name: accepted") or return diag($ws->{raw});
    $ws->text($name);
    is($ws->read_described, "text: $name", "$name: works");
}


# the fields of the last line of a log that has that many
sub logged {
    my ($t, $file, $lines) = @_;

    my @lines = wait_for(sub {
        my @now = split /\n/, $t->read_file($file);
        return @now >= $lines && \@now;
    }, 10, "$lines lines in $file");

    return $lines[0][-1];
}


# until the old workers, whose pids are returned, accept no more
sub reloaded {
    my ($t, $workers) = @_;

    my @old = $t->reload;

    wait_for(sub { $t->worker_pids == $workers }, 10, 'old workers');

    return @old;
}


for my $workers (workers()) {
    my $t = Test::Fanout->new($conf, workers => $workers,
                              name => "nginx of $workers");

    $t->write_file('why.txt', "because\n");
    $t->start;

    # the access log: one line, at the end, and true

    my $start = time();
    my $ws = answer($t, '/ws?a=b', protocol => 'echo');
    my $came = length $ws->{raw};

    for my $size (5, 200, 65536) {
        $ws->binary('x' x $size);
        my $frame = $ws->read_frame;
        $came += length($frame->{payload}) + ($size > 65535 ? 10
                                              : $size > 125 ? 4 : 2);
    }

    is($t->read_file('ws.log'), '', 'no line while it lives');
    wait_for(sub { time() - $start > 0.2 }, 5);
    is($ws->close, 1000, 'closed');
    $came += 4;

    my $line = logged($t, 'ws.log', 1);
    my $took = time() - $start;

    like($line, qr{^127\.0\.0\.1 - "GET /ws\?a=b HTTP/1\.1" 101 $came },
         'status and bytes');
    like($line, qr{ OK websocket websocket echo 127\.0\.0\.1 b yes$},
         'variables');

    my ($time) = $line =~ /101 \d+ ([\d.]+)/;
    ok($time > 0.19 && $time <= $took + 0.01, "request time: $time of $took");

    $ws = answer($t, '/ws');
    $ws->abort;
    like(logged($t, 'ws.log', 2), qr/HTTP\/1\.1" 101 /, 'cut: 101 too');
    $ws = answer($t, '/ws', set => { Upgrade => undef });
    like(logged($t, 'ws.log', 3), qr/HTTP\/1\.1" 426 /, 'refused: 426');
    $ws->abort;

    # who may come in

    is(status_of($t, '/auth'), 401, 'auth_request: 401');
    is(status_of($t, '/auth', headers => ['X-Token' => 'bad']), 403,
       'auth_request: 403');
    $ws = answer($t, '/auth', headers => ['X-Token' => 'good'],
                 trailing => Test::Fanout::WebSocket->frame(payload => '1st'));
    is($ws->{headers}{'x-user'}, 'dave', 'a header of ours');
    is($ws->{headers}{'x-later'}, 'none', 'and one for always');
    is($ws->read_described, 'text: 1st', 'a frame that waited for auth');
    works($ws, 'auth_request');
    is($ws->close, 1000, 'closed');

    is(status_of($t, '/sub'), 500, 'a websocket is no subrequest');
    is(status_of($t, '/internal'), 404, 'internal');
    works(answer($t, '/rewrite'), 'rewrite');
    works(answer($t, '/mirror'), 'mirror');
    works(answer($t, '/ws', server => 2), 'behind a proxy');

    $ws = answer($t, '/denied');
    is($ws->{status}, 403, 'deny');
    is($ws->{body}, "because\n", 'with an error_page');

    is(status_of($t, '/real'), 403, 'realip: not this address');
    $ws = answer($t, '/real', headers => ['X-Forwarded-For' => '192.0.2.7']);
    works($ws, 'realip');
    is($ws->close, 1000, 'closed');
    like(logged($t, 'real.log', 2), qr/^192\.0\.2\.7 .* 101 /, 'in the log');

    # limit_req

    works(answer($t, '/delayed'), "limit_req $_") for 1 .. 3;
    $ws = answer($t, '/delayed',
                 trailing => Test::Fanout::WebSocket->frame(payload => '1st'));
    is($ws->read_described, 'text: 1st', 'a frame that waited for limit_req');
    is(status_of($t, '/rejected'), 101, 'limit_req: the first');
    is(status_of($t, '/rejected'), 429, 'limit_req: the second');

    # limit_conn counts while a session lives

    my @two = map { answer($t, '/conn') } 1 .. 2;

    works($_, 'limit_conn') for @two;
    is(status_of($t, '/conn'), 503, 'limit_conn: a third') for 1 .. 3;
    is((shift @two)->close, 1000, 'one goes');

    for my $way (qw(abort close)) {
        $ws = wait_for(sub {
            my $next = answer($t, '/conn');
            return $next->{status} == 101 && $next;
        }, 10, 'room');

        works($ws, "limit_conn: room after one went, $way");
        is(status_of($t, '/conn'), 503, 'but not for two');
        $ws->$way;
    }

    $_->abort for @two;
    wait_for(sub { $t->status->{total}{sessions} == 0 }, 10, 'none');

    # reload: the old workers go on with their sessions, and then go

    my @old = map { answer($t, '/ws') } 1 .. 10;
    my @pids = reloaded($t, $workers);
    my @new = map { answer($t, '/ws') } 1 .. 10;

    works($_, 'over a reload') for @old;
    works($_, 'after a reload') for @new;

    reloaded($t, $workers);

    works($_, 'over reloads') for @old, @new;
    is($_->close, 1000, 'closed') for @old;
    $t->wait_gone(10, @pids);
    pass('the first workers are gone');
    works($_, 'over a reload') for @new;

    # quit: they are served to their end

    my $pid = $t->pid;
    my @last = $t->children_pids;

    $t->signal('QUIT');
    wait_for(sub { $t->worker_pids == 0 }, 10, 'quitting workers');
    works($_, 'over a quit') for @new;
    is($_->close, 1000, 'closed') for @new;
    $t->wait_gone(10, @last);
    ok(wait_for(sub { !$t->{process}->alive }, 10), 'nginx is gone');

    # and once more, with worker_shutdown_timeout and with SIGTERM

    $t->configure("worker_shutdown_timeout 200ms;\n$conf");
    $t->start;
    @new = map { answer($t, '/ws') } 1 .. 10;
    @pids = reloaded($t, $workers);
    is(($_->read_close)[0], 1001, 'ended by worker_shutdown_timeout')
        for @new;
    $t->wait_gone(10, @pids);

    @new = map { answer($t, '/ws') } 1 .. 10;
    $t->stop('TERM');
    is(($_->read_close)[0], 1001, 'ended by SIGTERM') for @new;
}

done_testing();
