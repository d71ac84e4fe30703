#!/usr/bin/perl
# once

# What thousands of clients took is given back when they have left, though
# one stays: also what malloc() has below something that is in use.

use strict;
use warnings;

use Test::More;
use Test::Fanout;
use Test::Fanout::Broker;
use Test::Fanout::Status;

plan skip_all => 'freed memory stays with the sanitizer'
    if flavor() eq 'asan';

my $conf = <<'EOC';
worker_rlimit_nofile 10000;
events { worker_connections 8000; }
http {
    fanout_ping 300s 60s;
    fanout_zone  main 16m;
    fanout_kafka main { bootstrap.servers %%BROKERS%%; }
    server {
        listen 127.0.0.1:%%PORT_1%% backlog=4096;
        location /ws     { fanout_websocket; fanout_allow subscribe *; }
        location /status { fanout_status; }
    }
}
EOC

my $clients = 4000;
my $broker = Test::Fanout::Broker->new(topic => 2);
my $t = Test::Fanout->new($conf, brokers => $broker->servers,
                          name => 'nginx', workers => 1)->start;
my ($worker) = $t->worker_pids;


# KB of the worker's own memory
sub own {
    open my $fh, '<', "/proc/$worker/smaps_rollup" or die "$worker: $!\n";

    return join('', <$fh>) =~ /^Pss_Anon:\s+(\d+)/m ? $1 : die "no figure\n";
}


my $ws = $t->subscribe('topic');

settled($t, 1);

my $before = own();

for my $storm (1, 2) {
    my $load = $t->load('--sessions', $clients, '--filter', 'topic');

    wait_for(sub { $t->status->{total}{subscriptions} == $clients + 1 }, 20,
             'clients');

    my $with = own();

    cmp_ok($with - $before, '>', $clients * 5, "storm $storm takes memory");

    $load->stop('TERM', 10);

    my $after;

    eval {
        wait_for(sub {
            $after = own();
            return $after <= $before * 1.1;
        }, 20);
    };

    cmp_ok($after, '<=', $before * 1.1, "storm $storm leaves none")
        or diag("before $before KB, with all $with KB");
}

$broker->produce('topic', ['key', 'value']);
is_deeply([$ws->read_pair], ['key', 'value'], 'who stayed is served');
is($ws->close, 1000, 'goodbye');

$t->stop;
done_testing();
