#!/usr/bin/perl

# Topics that come, go and come again, and records that are gone before they
# are read: told as unknown, or by a gap, and then it goes on.

use strict;
use warnings;

use Test::More;
use Test::Fanout;
use Test::Fanout::Kafka;
use Test::Fanout::Status;

my $conf = <<'EOC';
events {}
http {
    fanout_zone   main 16m;
    fanout_linger 300ms;
    fanout_kafka  main {
        bootstrap.servers %%BROKERS%%;
        topic.metadata.refresh.interval.ms 500;
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
my $kafka = Test::Fanout::Kafka->shared;
my $t = Test::Fanout->new($conf, brokers => $kafka->servers, name => 'nginx',
                          workers => $workers)->start;


# until the status tells trouble in such words, or none
sub trouble {
    my ($want, $what) = @_;

    my @said;

    eval {
        wait_for(sub {
            @said = map { $_->{error} } map { @{ $_->{kafka} } }
                    @{ $t->status->{workers} };

            return $want ? scalar(grep { /$want/ } @said)
                         : !grep { length } @said;
        }, 40);
    };

    ok(!$@, $what) or diag(explain(\@said));
}


# records and notices up to one with that value
sub up_to {
    my ($ws, $last) = @_;

    my @came;

    while (!@came || $came[-1] ne $last) {
        my $frame = $ws->read_message or last;

        push @came, $frame->{opcode} == 1 ? $frame->{payload}
                                          : $ws->read_message->{payload};
    }

    return @came;
}


# a topic that is made after it was asked for

my $topic = $kafka->unique('later');

for (1 .. 3) {
    my $ws = $t->subscribe($topic);

    is($ws->read_described, "text: unknown topic\n", 'told as unknown');
    is($ws->read_described, 'close 1008 unknown topic', 'and closed');
}

$kafka->create($topic, 2);

my $ws = wait_for(sub { subscribe_or_not($t, $topic) }, 20,
                  'the topic is known');

$kafka->produce($topic, ['k', 'one']);
is(($ws->read_pair)[1], 'one', 'served after it was made');

# deleted, and made again with fewer records than were read, or with more:
# also then some were missed

for my $case (['fewer', 10, 3], ['more', 1, 12]) {
    my ($what, $before, $after) = @$case;

    $topic = $kafka->create($kafka->unique($what), 1);
    my $ws = subscribe_or_not($t, $topic);

    $kafka->produce($topic, map { ['k', "old $_"] } 1 .. $before);
    is(scalar(my @old = up_to($ws, "old $before")), $before, 'read before');

    $kafka->topic('delete', $topic);
    trouble(qr/^partition 0 of topic "\Q$topic\E": it does not exist any more/,
            "$what: the status tells that it is gone");

    $kafka->create($topic, 1);
    $kafka->produce($topic, map { ['k', "new $_"] } 1 .. $after);

    my @came = up_to($ws, "new $after");
    my $gap = shift @came;

    is($gap, "gap\n", "$what: a gap is told");
    is_deeply(\@came, [map { "new $_" } $after - $#came .. $after],
              "$what: then what comes is in order, to the end");
    is(scalar @came, $after, "$what: and all of it") if $what eq 'fewer';

    trouble(undef, "$what: the status tells that it is over");

    $kafka->produce($topic, ['k', 'and on']);
    is(($ws->read_pair)[1], 'and on', "$what: it goes on");
    $ws->close;
}

# what a reader that is behind would read next is deleted

$topic = $kafka->create($kafka->unique('trimmed'), 1);

my @ws = map { subscribe_or_not($t, $topic) } 1;
push @ws, map { $t->subscribe("$topic/key-0", timeout => 40) } 1 .. 4;
settled($t, 6);

my @pids = $t->worker_pids;

kill 'STOP', @pids;

# the first one answers the fetch that may be under way; what is trimmed has
# not left Kafka

$kafka->produce($topic, ['key-0', 'first']);
$kafka->produce_many($topic, '--count', 1000);
$kafka->topic('trim', $topic, 0, 901);
kill 'CONT', @pids;

my $wrong = 0;

for my $ws (@ws) {
    my (@before, @after, $gaps);

    until (@after && $after[-1] == 999) {
        my $frame = $ws->read_message or last;

        if ($frame->{opcode} == 1) {
            $gaps .= $frame->{payload};
        } else {
            my ($n) = $ws->read_message->{payload} =~ /^(\w+)/;
            push @{ $gaps ? \@after : \@before }, $n;
        }
    }

    $wrong++ if ($gaps // '') ne "gap\n"
                || "@before" ne join(' ', @before ? 'first' : (),
                                     0 .. $#before - 1)
                || "@after" ne join(' ', 900 .. 999);
}

is($wrong, 0, 'trimmed: one gap, then the oldest there is and all after it');

# an ordinary trim of what was read is nobody's business

$kafka->topic('trim', $topic, 0, 1001);
$kafka->produce($topic, ['key-0', 'after']);
is(($_->read_pair)[1], 'after', 'trimmed behind the readers: no gap') for @ws;

$_->close for $ws, @ws;
is(quiet($t), '', 'nothing is left');
$t->stop;

done_testing();
