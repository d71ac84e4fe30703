#!/usr/bin/perl

# What "nginx -t" refuses, with which words, in which line; and that it
# leaves nothing behind.

use strict;
use warnings;

use Test::More;
use Test::Fanout;

my $t = Test::Fanout->new("events {}\nhttp {\n}\n");
my $secret = 'Tr0ub4dor3';

$ENV{FANOUT_TEST_PASSWORD} = $secret;
$t->write_file('password', "$secret\n");
$t->write_file('zero', "$secret\0x");
$t->write_file('not-a-key.pem', $secret);
mkdir $t->dir . '/folder';


# status, and messages, of a configuration of these lines in "http"; what
# goes before "http" may be told
sub tried {
    my ($http, $main) = @_;

    $http = "fanout_zone main 16m;\n$http" if $http !~ /fanout_zone/;
    $main //= '';
    $t->configure("${main}events {}\nhttp {\n$http\n}\n" =~
                  s/^(?=.*events)(.*)events \{\}\n(?=.*events)/$1/sr);

    return $t->check;
}


# The wrong line ends in "#!".  Messages in nginx's words are tried too: who
# has changed a directive's type shall see it here.
sub refused {
    my ($http, $message, $main) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my ($status, $out) = tried($http, $main);
    my ($bad) = $http =~ /^\s*(.*?)\s*#!/m;
    my $name = $bad // (split /\n/, $http)[0];

    isnt($status, 0, "refused: $name");
    like($out, $message, '... with a message');

    if (defined $bad) {
        my @before = split /\n/, $t->read_file('nginx.conf') =~ s/#!.*//sr;
        my $line = @before;
        like($out, qr/nginx\.conf:$line$/m, '... and its line');
    }

    unlike($out, qr/\Q$secret\E/, '... without the secret');
}


sub accepted {
    my ($http, $main) = @_;

    local $Test::Builder::Level = $Test::Builder::Level + 1;

    my ($status, $out) = tried($http, $main);

    is($status, 0, 'accepted: ' . (split /\n/, $http)[0]) or diag($out);
    unlike($out, qr/\Q$secret\E/, '... without the secret');
}


# these lines in a location, or in a cluster
sub in_location {
    return "server { listen 127.0.0.1:%%PORT_1%%; location / {\n$_[0]\n} }";
}



sub in_kafka { "fanout_kafka main {\nbootstrap.servers a:1;\n$_[0]\n}" }

my $echo = in_location('fanout_websocket echo;');
my $kafka = in_kafka('');

# fanout_zone

accepted("fanout_zone main 16m;");
accepted("fanout_zone main 32m ring=1m;");
refused($_->[0], $_->[1]) for
    ["fanout_zone main; #!", qr/invalid number of arguments/],
    ["fanout_zone main 16q; #!", qr/invalid zone size "16q"/],
    ["fanout_zone main 0; #!", qr/invalid zone size "0"/],
    ["fanout_zone main -1; #!", qr/invalid zone size "-1"/],
    ["fanout_zone main 16m 1m; #!", qr/"ring=size" of at least 64k is meant/],
    ["fanout_zone main 16m ring=; #!", qr/invalid parameter "ring="/],
    ["fanout_zone main 16m ring=63k; #!", qr/invalid parameter "ring=63k"/],
    ["fanout_zone main 16m;\nfanout_zone b 16m; #!", qr/is duplicate/],
    ["fanout_zone main 64k;", qr/"fanout_zone main" needs at least \d+k/],
    ["fanout_zone main 16m ring=8m;", qr/needs at least \d+k/],
    ["server { fanout_zone main 16m; #!\n}", qr/is not allowed here/];

my (undef, $out) = tried('fanout_zone main 64k;');
accepted('fanout_zone main ' . ($out =~ /needs at least (\d+k)/)[0] . ';');
refused("#fanout_zone\n$echo", qr/no "fanout_zone name size;" in "http"/);
accepted('#fanout_zone');

# numbers of http

for (['fanout_owners', [qw(1 4 16)], [qw(0 17 -1 x)]],
     map({ [$_, [qw(0 1 1h)], [qw(x -1 1q)]] } qw(fanout_linger fanout_drain)),
     ['fanout_stall', [qw(1 500ms)], [qw(0 x -1)]],
     ['fanout_join', [qw(0 10ms 1m)], [qw(x -1 61s)]])
{
    my ($directive, $good, $bad) = @$_;

    accepted("$directive $_;") for @$good;
    refused("$directive $_; #!", qr/"$directive"|must (?:not )?be/) for @$bad;
    refused("$directive 1;\n$directive 1; #!", qr/is duplicate/);
    refused(in_location("$directive 1; #!"), qr/is not allowed here/);
}

# sizes and times of a location

for (['fanout_frame_max', ['1', '64k', '1024m'], ['0', 'x', '1025m']],
     ['fanout_detach', ['on', 'off'], ['1', 'on off']],
     ['fanout_handshake_timeout', ['1ms', '10'], ['0', 'x', '-1']],
     ['fanout_ping', ['1s 1s', '25 10'],
                     ['1', '0 1', '1 0', 'x 1', '1 x', '1 1 1']],
     ['fanout_pending', ['1m', '1k gap', '1m disconnect'],
                        ['0', 'x', '1m x', '1m gap gap', 'gap']])
{
    my ($directive, $good, $bad) = @$_;

    accepted("$directive $_;\n" . in_location("$directive $_;")) for @$good;
    refused(in_location("$directive $_; #!"), qr/nginx: \[emerg\] \S+/)
        for @$bad;
    refused("$directive $$good[0];\n$directive $$good[0]; #!",
            qr/"$directive" directive is duplicate/);
}

refused(in_location('fanout_pending 1m conflate; #!'),
        qr/"conflate" is not built yet, use "gap" or "disconnect"/);

# fanout_websocket, fanout_status

accepted($echo);
accepted($kafka . in_location('fanout_websocket;'));
accepted($kafka . in_location('fanout_websocket bare echo kafka=main;'));
accepted($kafka . in_location('fanout_status;'));
refused($_->[0], $_->[1]) for
    [in_location('fanout_websocket nats; #!'), qr/unknown dialect "nats"/],
    [in_location('fanout_websocket echo echo; #!'),
     qr/duplicate dialect "echo"/],
    [in_location("fanout_websocket echo;\nfanout_websocket echo; #!"),
     qr/"fanout_websocket" directive is duplicate/],
    [in_location('fanout_websocket echo kafka=; #!'),
     qr/one "kafka=name" is meant/],
    [$kafka . in_location('fanout_websocket kafka=main kafka=main; #!'),
     qr/one "kafka=name" is meant/],
    [$kafka . in_location('fanout_websocket kafka=other;'),
     qr/unknown "kafka=other" in "fanout_websocket"/],
    [in_location('fanout_websocket bare;'),
     qr/"fanout_websocket" needs a "fanout_kafka name/],
    [in_location('fanout_status on; #!'), qr/invalid number of arguments/],
    ["server {\nfanout_websocket echo; #!\n}", qr/is not allowed here/];

# fanout_filter, fanout_allow, fanout_origins

accepted($kafka . in_location("fanout_websocket;\nfanout_filter $_;"))
    for qw(topic topic/ topic/key topic/a* topic/* topic/$arg_k $arg_f);
refused(in_location("fanout_filter $_; #!"), qr/is not a filter: /)
    for qw(a/b/c /k a/%zz a/b*c "");
refused(in_location("fanout_filter a;\nfanout_filter a; #!"),
        qr/is duplicate/);
refused(in_location('fanout_filter $nowhere;'),
        qr/unknown "nowhere" variable/);

accepted(in_location("fanout_allow subscribe $_;"))
    for '*', 'a', 'a/b', 'a/$arg_k', 'a/${arg_k}*', 'a b/c $arg_t/x';
refused(in_location("fanout_allow $_->[0]; #!"), $_->[1]) for
    ['subscribe', qr/invalid number of arguments/],
    ['publish a', qr/invalid parameter "publish", "subscribe" is meant/],
    ['subscribe a/b/c', qr/"a\/b\/c"/],
    ['subscribe a/$', qr/invalid variable name in "a\/\$"/],
    ['subscribe "a/${x"', qr/./],
    ['subscribe ""', qr/""/];

accepted(in_location("fanout_origins $_;"))
    for '*', 'https://a.example', 'http://*.a.example:8080 https://[::1]';
refused(in_location("fanout_origins $_; #!"), qr/"\Q$_\E" is not an origin/)
    for qw(a.example https://a.example/ *://a https://a:0 https://a* null);

# fanout_kafka: properties are librdkafka's, but for ours

accepted(in_kafka($_)) for
    "client.id   some   words;\nlinger.ms 5;\nacks all;",
    "topic a-* partitioner=murmur2;\ntopic b partitioner=any;",
    "security.protocol sasl_ssl;\nsasl.mechanism PLAIN;\n"
    . "sasl.username u;\nsasl.password $secret;",
    "security.protocol sasl_plaintext;\nsasl.mechanisms SCRAM-SHA-512;\n"
    . "sasl.username u;\nsasl.password file:password;",
    "security.protocol sasl_plaintext;\nsasl.mechanisms PLAIN;\n"
    . "sasl.username u;\nsasl.password env:FANOUT_TEST_PASSWORD;";

refused($_->[0], $_->[1]) for
    ["fanout_kafka main {\n}", qr/no "bootstrap\.servers" in fanout_kafka/],
    ["fanout_kafka;#!", qr/fanout_kafka/],
    ["$kafka\nfanout_kafka main {#!\n}", qr/duplicate "fanout_kafka main"/],
    map { [in_kafka("$_->[0] #!"), $_->[1]] }
    ['no.such.property 1;', qr/unknown property "no\.such\.property"/],
    ['linger.ms x;', qr/invalid value of property "linger\.ms"/],
    ['linger.ms -5;', qr/invalid value of property "linger\.ms"/],
    ['linger.ms;', qr/property "linger\.ms" has no value/],
    ['bootstrap.servers b:1;', qr/duplicate property "bootstrap\.servers"/],
    ['metadata.broker.list b:1;', qr/duplicate property "metadata/],
    (map { ["$_ x;", qr/property "\Q$_\E" is set by the module/] }
         qw(group.id auto.offset.reset enable.auto.commit
            allow.auto.create.topics enable.partition.eof
            isolation.level.not) [0 .. 4]),
    ['dr_msg_cb x;', qr/is a callback and can't be set/],
    ['partitioner murmur2;', qr/is declared for topics/],
    ['sasl.mechanism PLAINER;', qr/"sasl\.mechanism" must be "PLAIN"/],
    ["sasl.password file:nothing;", qr/open\(\) ".*nothing" failed/],
    ["sasl.password file:folder;", qr/is no file, or has more than/],
    ["sasl.password file:zero;", qr/"sasl\.password" has a zero byte/],
    ['sasl.password env:FANOUT_NO;', qr/variable "FANOUT_NO" is not set/],
    ['linger.ms file:password;', qr/invalid value of property "linger\.ms"/],
    ['linger.ms env:FANOUT_TEST_PASSWORD;', qr/invalid value of property/],
    ['ssl.ca.location env:FANOUT_TEST_PASSWORD;', qr/can't be read/],
    ['ssl.ca.location nothing;', qr/names a file that can't be read/],
    ['topic;', qr/invalid number of arguments in "topic"/],
    ['topic a/b partitioner=any;', qr/invalid topic name "a\/b"/],
    ['topic a partitioner=md5;', qr/invalid parameter "partitioner=md5"/],
    ['topic a state=redis;', qr/is not yet supported/],
    ["topic a partitioner=any;\ntopic a partitioner=any;", qr/duplicate topic/];

refused(in_kafka($_->[0]), $_->[1]) for
    ["security.protocol sasl_ssl;\nsasl.mechanisms PLAIN;\nsasl.username u;",
     qr/"sasl\.mechanism PLAIN" needs "sasl\.password"/],
    ["ssl.key.pem $secret;", qr/a TLS key without its certificate/],
    ["sasl.username u;", qr/needs "security\.protocol"/],
    ["ssl.key.location not-a-key.pem;\nssl.key.password $secret;",
     qr/a TLS key without its certificate/];

# of the whole

refused($echo, qr/at most 96 worker_processes/, "worker_processes 97;\n");
accepted($echo, "worker_processes 96;\n");
refused($echo, qr/"use epoll" only, not with "poll"|invalid event type/,
        "events { use poll; }\n");

# nothing is left: a test opens no eventfd and starts no thread

SKIP: {
    my $strace = grep { -x "$_/strace" } split /:/, $ENV{PATH};
    skip 'no strace, or sanitizers', 1 if !$strace || flavor() eq 'asan';

    tried($kafka . $echo);

    my $trace = Test::Fanout::Process->new(
        cmd => ['strace', '-f', '-e', 'trace=eventfd2,clone,clone3',
                '-o', $t->dir . '/trace', $t->command, '-t'],
        err => $t->dir . '/trace.err');
    $trace->wait(30);
    is($t->read_file('trace') =~ s/^\d+ +\+\+\+ exited with 0 \+\+\+\n//r, '',
       'neither eventfds nor threads');
}

# a running nginx is not disturbed by a reload that fails

tried("$kafka\nserver { listen 127.0.0.1:%%PORT_1%%;\n"
      . 'location /ws { fanout_websocket echo; } }');
$t->expect(qr/\[emerg\]/);
$t->start;

my $ws = $t->ws('/ws');
my @fds = glob '/proc/' . $t->pid . '/fd/*';

for my $bad ('fanout_zone b 16m; fanout_linger x;', 'fanout_zone b 64k;',
             'fanout_zone b 16m; server { listen 1.2.3.4:1; }')
{
    my $seen = () = $t->read_file('error.log') =~ /\[emerg\]/g;

    $t->configure("events {}\nhttp {\n$bad\n}\n");
    $t->signal('HUP');
    wait_for(sub {
        my $now = () = $t->read_file('error.log') =~ /\[emerg\]/g;
        return $now > $seen;
    }, 10, 'a failed reload');
}

$ws->text('still');
is($ws->read_described, 'text: still', 'sessions go on');
ok(wait_for(sub { @fds == (my @now = glob '/proc/' . $t->pid . '/fd/*') },
            10), 'the master has as many descriptors as before');
is($ws->close, 1000, 'closed');
unlike($t->read_file('error.log'), qr/\Q$secret\E/, 'no secret in the log');

$t->stop;

done_testing();
