#!/usr/bin/perl

# All of worker_connections are taken by clients that have not replied yet:
# those who do are served all the same.

use strict;
use warnings;

use Test::More;
use Test::Fanout;
use Test::Fanout::Kafka;
use Test::Fanout::Status;

my $conf = <<'EOC';
events { worker_connections 20; }
http {
    fanout_zone  main 16m;
    fanout_kafka main { bootstrap.servers %%BROKERS%%; }
    server {
        listen 127.0.0.1:%%PORT_1%%;
        location /ws     { fanout_websocket; fanout_allow subscribe *; }
        location /status { fanout_status; }
    }
}
EOC

my $kafka = Test::Fanout::Kafka->shared;
my $topic = $kafka->create($kafka->unique('full'), 1);
my $t = Test::Fanout->new($conf, brokers => $kafka->servers,
                          name => 'nginx')->start;

$t->expect(qr/worker_connections are not enough/);

my (@ws, $ws);

push @ws, $ws while $ws = eval { $t->ws('/ws') };

cmp_ok(scalar @ws, '>', 5, 'clients take all connections');
like($t->read_file('error.log'), qr/worker_connections are not enough/,
     'there is none left');

is($_->read_described, "text: what topic/key do you want?\n", 'prompt')
    for @ws;

# one makes room for the status

(pop @ws)->abort;
wait_for(sub { eval { $t->status } }, 10, 'the status');

# and is replaced

$ws = wait_for(sub { eval { $t->ws('/ws') } }, 10, 'a connection');
push @ws, $ws;
is($ws->read_described, "text: what topic/key do you want?\n", 'prompt');

$ws->text($topic);

# it has begun when a record comes

$ws->{timeout} = 1;

my @pair = wait_for(sub {
    $kafka->produce($topic, ['k', 'v']);
    return eval { join ' ', $ws->read_pair };
}, 20, 'a record');

is("@pair", 'k v', 'served, though no connection is left');

$_->abort for @ws;

# until nginx knows, there is no connection for the status either

wait_for(sub { eval { $t->status->{total}{sessions} == 0 } }, 20, 'the end');

$t->stop;

done_testing();
