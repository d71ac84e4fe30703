#!/usr/bin/perl

# What nginx may do in Kafka is taken away while it reads, and given back:
# sessions stay, the status says why nothing comes, and then all comes.

use strict;
use warnings;

use Test::More;
use Time::HiRes qw(time);
use Test::Fanout;
use Test::Fanout::Kafka;
use Test::Fanout::Status;

my $conf = <<'EOC';
events {}
http {
    fanout_zone  main 16m;
    fanout_kafka main {
        bootstrap.servers %%BROKERS%%;
        security.protocol sasl_plaintext;
        sasl.mechanism PLAIN;
        sasl.username alice;
        sasl.password secret;
    }
    server {
        listen 127.0.0.1:%%PORT_1%%;
        fanout_ping 300s 60s;
        location /ws     { fanout_websocket; fanout_allow subscribe *; }
        location /status { fanout_status; }
    }
}
EOC

my ($workers) = sort { abs($a - 2) <=> abs($b - 2) } workers();
my $kafka = Test::Fanout::Kafka->new(sasl => 1, set => {
    'authorizer.class.name' =>
        'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
    'super.users' => 'User:ANONYMOUS',
    'allow.everyone.if.no.acl.found' => 'true',
});

$kafka->create($_, 1) for qw(mine other new);

my $t = Test::Fanout->new($conf, brokers => $kafka->sasl_servers,
                          name => 'nginx', workers => $workers)->start;


# until a worker's view of Kafka is like that
sub told {
    my ($what, $code) = @_;

    my @kafkas;

    eval {
        wait_for(sub {
            @kafkas = grep { $_->{up} || $_->{failures} }
                      map { @{ $_->{kafka} } } @{ $t->status->{workers} };

            return $code->(@kafkas);
        }, 40);
    };

    ok(!$@, "the status tells $what") or diag(explain(\@kafkas));
}


sub comes {
    my ($ws, $topic, $value) = @_;

    $kafka->produce($topic, ['k', $value]);
    is(($ws->read_pair)[1], $value, "$topic: $value");
}


my $mine = $t->subscribe('mine', timeout => 60);
my $other = $t->subscribe('other', timeout => 60);

settled($t, 2);
comes($mine, 'mine', 'at first');
comes($other, 'other', 'at first');

# one topic is forbidden

$kafka->topic('deny', 'mine', 'User:alice');

told('of a topic that is forbidden', sub {
    grep { $_->{up}
           && $_->{error} eq 'partition 0 of topic "mine": not allowed to '
                             . 'read it' } @_;
});

comes($other, 'other', 'not concerned');
$kafka->produce('mine', ['k', "meanwhile $_"]) for 1 .. 3;
sessions_are($t, 2, 'sessions stay');

$kafka->topic('undeny', 'mine', 'User:alice');

is(($mine->read_pair)[1], "meanwhile $_", "allowed again: record $_")
    for 1 .. 3;
told('that it is over', sub { @_ && !grep { length $_->{error} } @_ });

# the password is not ours any more

$kafka->stop;
$kafka->password('another');
$kafka->configure;
$kafka->start;

told('of refused credentials', sub {
    @_ && !grep { $_->{up} || $_->{error} !~ /auth/i } @_;
});

my $begin = time();
my $ws = $t->subscribe('new');

is($ws->read_described, "text: kafka unreachable, try later\n",
   'a new subscriber is told');
in_time($begin, 4, 'in time');
$ws->abort;

$kafka->produce('mine', ['k', "later $_"]) for 1 .. 3;
sessions_are($t, 2, 'sessions stay');

$kafka->stop;
$kafka->password('secret');
$kafka->configure;
$kafka->start;

is(($mine->read_pair)[1], "later $_", "accepted again: record $_") for 1 .. 3;
comes($other, 'other', 'at last');
told('that it is up', sub { @_ && !grep { !$_->{up} } @_ });

my $total = $t->status->{total};

is($total->{gaps}, 0, 'no gap');
is($total->{sessions_total}, 3, 'nobody came again');

unlike($t->read_file('error.log') . $t->get('/status')->{body},
       qr/secret/, 'no password is told');

$_->close for $mine, $other;
$t->stop;

done_testing();
