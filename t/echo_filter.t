#!/usr/bin/perl

# A worker crashed at the first record, where a location of the dialect
# "echo" had or inherited a fanout_filter.

use strict;
use warnings;

use Test::More;
use Test::Fanout;
use Test::Fanout::Broker;

my $broker = Test::Fanout::Broker->new(prices => 2);

my $t = Test::Fanout->new(<<'EOC', brokers => $broker->servers);
events {}

http {
    fanout_zone  main 16m;
    fanout_kafka main { bootstrap.servers %%BROKERS%%; fetch.wait.max.ms 10; }

    fanout_filter  prices;
    fanout_allow   subscribe *;

    server {
        listen 127.0.0.1:%%PORT_1%%;

        location /both   { fanout_websocket bare echo; }
        location /status { fanout_status; }
    }
}
EOC

$t->start;

my $echo = $t->ws('/both', protocol => 'echo');

$echo->text('before');
is($echo->read_described, 'text: before', 'an echo');
is($t->status->{total}{subscriptions}, 0, 'and no subscription');

my $bare = $t->ws('/both', protocol => 'bare');

wait_for(sub { $t->status->{total}{bases} >= 2 }, 10, 'a subscription');
$broker->produce('prices', ['k', 'v']);
is_deeply([$bare->read_pair], ['k', 'v'], 'a record for who wants it');

$echo->text('after');
is($echo->read_described, 'text: after', 'none for the echo');

$echo->close;
$bare->close;
$t->stop;

done_testing();
