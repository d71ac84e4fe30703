#!/usr/bin/perl

# Who may subscribe to what: fanout_allow, with variables, and fanout_filter
# instead of the prompt.

use strict;
use warnings;

use Test::More;
use Test::Fanout;
use Test::Fanout::Kafka;
use Test::Fanout::Status;

my $kafka = Test::Fanout::Kafka->shared;
my $topic = $kafka->create($kafka->unique('news'), 2);
my $other = $kafka->create($kafka->unique('other'), 1);

my $conf = <<'EOC';
events {}
http {
    fanout_zone  main 16m;
    fanout_kafka main { bootstrap.servers %%BROKERS%%; }

    server {
        listen 127.0.0.1:%%PORT_1%%;
        fanout_allow subscribe %%TOPIC%%/public-*;

        location /status    { fanout_status; }
        location /inherited { fanout_websocket; }

        location /own {
            fanout_websocket;
            fanout_allow subscribe %%TOPIC%%/one %%TOPIC%%/two*;
        }

        location /user {
            auth_basic "who";
            auth_basic_user_file %%TESTDIR%%/users;
            fanout_websocket;
            fanout_allow subscribe %%TOPIC%%/$remote_user
                                   %%TOPIC%%/of-$remote_user-*;
        }

        location /arg {
            fanout_websocket;
            fanout_allow subscribe %%TOPIC%%/$arg_x;
        }

        location /filter {
            fanout_websocket;
            fanout_filter %%TOPIC%%/$arg_x;
            fanout_allow subscribe %%TOPIC%%/*;
        }

        location /topic {
            fanout_websocket;
            fanout_filter $arg_x/k;
            fanout_allow subscribe %%TOPIC%%;
        }

        location /forbidden {
            fanout_websocket;
            fanout_filter %%OTHER%%/$arg_x;
            fanout_allow subscribe %%TOPIC%%/*;
        }

        location /narrow {
            fanout_websocket;
            fanout_filter %%TOPIC%%/$arg_x;
            fanout_allow subscribe %%TOPIC%%/$arg_x;
        }

        location /fixed {
            fanout_websocket;
            fanout_filter %%TOPIC%%/fi%2axed;
            fanout_allow subscribe *;
        }
    }

    server {
        listen 127.0.0.1:%%PORT_2%%;
        location /ws { fanout_websocket; }
    }
}
EOC

my $t = Test::Fanout->new($conf, brokers => $kafka->servers, workers => 2,
                          vars => { TOPIC => $topic, OTHER => $other });

$t->write_file('users', join '', map { "$_->[0]:{PLAIN}pw\n" }
                                 ['dave'], ['*'], ['a/b'], ['da%76e']);
$t->start;


sub auth {
    my ($user) = @_;

    require MIME::Base64;

    return (headers => ['Authorization' => 'Basic '
                        . MIME::Base64::encode_base64("$user:pw", '')]);
}


sub refused {
    my ($filter, $path, %o) = @_;

    my $ws = $t->subscribe("$filter", path => $path, %o);
    my $said = $ws->read_described;
    my ($code, $reason) = $ws->read_close;

    is("$said$code", "text: not allowed\n1008",
       "$path: $filter is refused");
}


sub allowed {
    my ($filter, $path, %o) = @_;

    my $before = $t->status->{total}{subscriptions_total};
    my $ws = $t->subscribe($filter, path => $path, %o);

    ok(eval {
        wait_for(sub {
            return $t->status->{total}{subscriptions_total} == $before + 1;
        });
    }, "$path: $filter is allowed") or diag($ws->read_described);

    $ws->close;
}


# default deny, and templates without variables

refused("$topic/a", '/ws', server => 2);
refused($topic, '/ws', server => 2);

allowed("$topic/public-", '/inherited');
allowed("$topic/public-x", '/inherited');
allowed("$topic/public-x*", '/inherited');
allowed("$topic/%70ublic-%2a", '/inherited');
refused("$topic/public*", '/inherited');
refused("$topic/publi", '/inherited');
refused("$topic/", '/inherited');
refused("$topic/*", '/inherited');
refused($topic, '/inherited');
refused("$other/public-x", '/inherited');
refused("${topic}x/public-x", '/inherited');
refused('nosuchtopic/public-x', '/inherited');

allowed("$topic/one", '/own');
allowed("$topic/two", '/own');
allowed("$topic/twofold*", '/own');
refused("$topic/one*", '/own');
refused("$topic/public-x", '/own');

# the value of a variable is literal

allowed("$topic/dave", '/user', auth('dave'));
allowed("$topic/of-dave-*", '/user', auth('dave'));
refused("$topic/dave*", '/user', auth('dave'));
refused("$topic/bob", '/user', auth('dave'));
refused("$topic/of-bob-x", '/user', auth('dave'));
allowed("$topic/%2a", '/user', auth('*'));
refused("$topic/*", '/user', auth('*'));
refused($topic, '/user', auth('*'));
refused("$topic/dave", '/user', auth('*'));
allowed("$topic/a%2fb", '/user', auth('a/b'));
refused("$topic/dave", '/user', auth('da%76e'));
allowed("$topic/da%2576e", '/user', auth('da%76e'));

refused("$topic/a", '/arg');
refused("$topic/", '/arg');
refused("$topic/", '/arg?x=');
refused("$topic/*", '/arg?x=*');
refused("$topic/ab", '/arg?x=a*');
allowed("$topic/a%2a", '/arg?x=a*');
allowed("$topic/a%252a", '/arg?x=a%2a');

# no prompt

my $base = served($t->status);
my %ws = map { $_ => $t->ws("/filter?x=$_") } qw(dave a* %2a);

$ws{fixed} = $t->ws('/fixed');
$ws{topic} = $t->ws("/topic?x=$topic");
settled($t, 5, $base);

$ws{fixed}->text('ignored');

$kafka->produce($topic, ['ab', 'p'], ['dave', 'd'], ['*', 's'],
                ['a*', 'p'], ['%2a', 'no'], ['fi*xed', 'f'], ['k', 'k'],
                ['dave', 'd2']);

is_deeply([$ws{dave}->read_pair, $ws{dave}->read_pair],
          ['dave', 'd', 'dave', 'd2'], 'fanout_filter, no prompt');
is_deeply([sort map { ($ws{'a*'}->read_pair)[0] } 1 .. 2], ['a*', 'ab'],
          'what it expands to is read as a filter');
is_deeply([$ws{'%2a'}->read_pair], ['*', 's'], 'percent-encoding too');
is_deeply([$ws{fixed}->read_pair], ['fi*xed', 'f'], 'no variable');
is_deeply([$ws{topic}->read_pair], ['k', 'k'], 'a variable topic');

is($_->close, 1000, 'nothing else came') for values %ws;

for (['/topic', 'an empty topic', 'bad subscription'],
     ["/topic?x=$topic/*", 'a slash in a topic', 'bad subscription'],
     ['/narrow?x=a*', 'a star in a variable does not widen',
      'not allowed'],
     ['/forbidden?x=a', 'fanout_filter is not above fanout_allow',
      'not allowed'],
     ['/topic?x=nosuchtopic', 'not even unknown', 'not allowed'])
{
    my ($path, $name, $text) = @$_;

    my $ws = $t->ws($path);

    like($ws->read_described, qr/^text: $text(?:: .*)?\n\z/, $name);
    is(($ws->read_close)[0], 1008, 'its code');
}

is(quiet($t), '', 'nothing is left');
$t->stop;

# what is no template

for ('subscribe a/b/c', 'subscribe $arg_x/a*b', 'subscribe /a', 'subscribe',
     'publish a', 'nonsense a')
{
    my $broken = $conf =~ s{\Qsubscribe %%TOPIC%%/public-*\E}{$_}r;

    my $bad = Test::Fanout->new($broken, brokers => $kafka->servers,
                                vars => { TOPIC => $topic,
                                          OTHER => $other });
    my ($status, $out) = $bad->check;

    isnt($status, 0, "\"fanout_allow $_\"");
    like($out, qr/\[emerg\].*nginx\.conf:\d+/, 'where it is');
}

done_testing();
