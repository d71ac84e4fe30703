#!/usr/bin/perl

# Records that are odd, too large for a ring, or damaged on the broker's
# disk: what can be read comes, what can't is a gap, and nothing stands
# still.

use strict;
use warnings;

use Test::More;
use Test::Fanout;
use Test::Fanout::Kafka;
use Test::Fanout::Process;
use Test::Fanout::Status;

my $conf = <<'EOC';
events {}
http {
    fanout_zone  main 16m;

    fanout_kafka plain { bootstrap.servers %%BROKERS%%; }

    fanout_kafka checked {
        bootstrap.servers %%BROKERS%%;
        check.crcs true;
    }

    server {
        listen 127.0.0.1:%%PORT_1%%;
        fanout_ping 300s 60s;
        fanout_pending 16m;
        fanout_allow subscribe *;
        location /ws      { fanout_websocket; }
        location /checked { fanout_websocket kafka=checked; }
        location /status  { fanout_status; }
    }
}
EOC

my ($workers) = sort { abs($a - 2) <=> abs($b - 2) } workers();
my $kafka = Test::Fanout::Kafka->new;
my $t = Test::Fanout->new($conf, brokers => $kafka->servers, name => 'nginx',
                          workers => $workers)->start;


# sessions, all served
sub sessions {
    my ($n, $filter, %o) = @_;

    my $before = $t->status;
    my @ws = map { $t->subscribe($filter, timeout => 60, %o) } 1 .. $n;

    wait_for(sub {
        my $status = $t->status;

        return $status->{total}{subscriptions}
               == $before->{total}{subscriptions} + $n
               && served($status) - served($before)
                  == $status->{total}{filters} - $before->{total}{filters};
    }, 20, 'sessions');

    return @ws;
}


# "key:value" of records up to the value "end", and notices as they are
sub up_to_end {
    my ($ws) = @_;

    my @came;

    while (!@came || $came[-1] !~ /:end$/) {
        my $frame = $ws->read_message or last;

        push @came, $frame->{opcode} == 1
                    ? $frame->{payload}
                    : "$frame->{payload}:" . $ws->read_message->{payload};
    }

    return join "\n", @came;
}


# odd ones

my $topic = $kafka->create('odd', 1);
my @ws = sessions(8, $topic);
my @null = sessions(2, "$topic/");
my $bytes = join '', map { chr } 0 .. 255;

$kafka->produce($topic, ['', ''], [undef, ''], ['', undef], [undef, undef],
                ['key', ''], ['key', undef], [$bytes, $bytes]);

my $kcat = Test::Fanout::Process->new(
    cmd => ['kcat', '-P', '-b', $kafka->servers, '-t', $topic, '-K', ':',
            map { ('-H', "header-$_=" . 'x' x 100) } 1 .. 500], in => 1);

$kcat->say('key:with headers');
$kcat->close_in;
is($kcat->wait(20), 0, 'a record with 500 headers');

$kafka->produce($topic, ['', 'end']);

my $want = join "\n", ':', ':', ':', ':', 'key:', 'key:', "$bytes:$bytes",
                      'key:with headers', ':end';

is(scalar(grep { up_to_end($_) ne $want } @ws), 0, 'odd records come');
is(scalar(grep { up_to_end($_) ne ":\n:\n:end" } @null), 0,
   'the empty key is not the one that is missing');
$_->close for @ws, @null;

# too large a key for a ring, in several partitions; and a value

$topic = $kafka->create('large', 3);
@ws = sessions(8, $topic);

my $large = 'x' x 1_000_000;

is($t->status->{zone}{record_max} < length $large, 1, 'it is too large');

for my $partition (0 .. 2) {
    $kafka->produce($topic, ['--partition', $partition, '-X',
                             'message.max.bytes=2000000'],
                    [$large, 'k'], ['v', $large], ['k', 'small']);
}

$kafka->produce($topic, ['--partition', 2], ['k', 'end']);

# a worker's sessions have all of the partitions that it reads itself; of
# another one a gap without a count for the key, and one of a record for the
# value, or several in one

my $wrong = 0;
my %whole;

for my $ws (@ws) {
    my %n = map { $_ => 0 } qw(gap k:small k:end large:k v:large);

    until ($n{'k:small'} == 3 && $n{'k:end'}) {
        my $frame = $ws->read_message or last;
        my $what = $frame->{payload};

        if ($frame->{opcode} == 1) {
            $what =~ s/^gap(?: (\d+))?\n\z/gap/;
            $n{$what} += $1 // 1;
        } else {
            $what .= ':' . $ws->read_message->{payload};
            $what =~ s/x{9,}/large/g;
            $n{$what}++;
        }
    }

    my $missed = 3 - $n{'large:k'};

    if (keys %n != 5 || $n{'k:small'} != 3 || $n{'k:end'} != 1
        || $n{'v:large'} != $n{'large:k'} || $n{gap} > 2 * $missed
        || $missed && !$n{gap})
    {
        $wrong++;
        diag(join ' ', map { "$_=$n{$_}" } sort keys %n);
    }

    $whole{$n{'large:k'}}++;
}

is($wrong, 0, 'all of a partition, or a gap');

my %said;
$said{$_}++ for $t->read_file('error.log')
                =~ / (\d+)#\d+: .*record too big for the ring/g;

is(scalar(grep { $_ > 1 } values %said), 0, 'logged once a topic');
is(scalar(keys %said) > 0, $workers > 1, 'if it was missed');
$_->close for @ws;

# damaged: a batch between two good ones, read after it was damaged

sub size { -s $kafka->log_dir($_[0], 0) . '/00000000000000000000.log' }


sub flip {
    my ($topic, $place) = @_;

    my $path = $kafka->log_dir($topic, 0) . '/00000000000000000000.log';

    open my $fh, '+<:raw', $path or die "$path: $!\n";
    seek $fh, $place, 0;
    read $fh, my $byte, 1;
    seek $fh, $place, 0;
    print $fh chr(ord($byte) ^ 1);
    close $fh or die "$path: $!\n";
}


my %codec = (stored => 'none', packed => 'gzip');
my (%open, %place);

for (sort keys %codec) {
    $kafka->create($_, 1);
    $open{$_} = [sessions(3, $_), sessions(3, $_, path => '/checked')];
}

my @pids = $t->worker_pids;

# the restart takes the fetches that are under way along

kill 'STOP', @pids;
$kafka->stop;
$kafka->start;

for my $topic (sort keys %codec) {
    my @options = ('-X', "compression.codec=$codec{$topic}", '-X',
                   'linger.ms=200');

    $kafka->produce($topic, \@options, map { ['k', "good $_"] } 1 .. 5);

    my $from = size($topic);

    $kafka->produce($topic, \@options,
                    map { ['k', "$_ " . 'v' x 300 . rand] } 1 .. 77);

    $place{$topic} = int(($from + size($topic)) / 2);

    $kafka->produce($topic, \@options, map { ['k', "fine $_"] } 1 .. 5);
    $kafka->produce($topic, ['k', 'end']);
}

$kafka->stop;
flip($_, $place{$_}) for keys %place;
$kafka->start;
kill 'CONT', @pids;

$want = join "\n", (map { "k:good $_" } 1 .. 5), "gap\n",
                   (map { "k:fine $_" } 1 .. 5), 'k:end';

my @stored = @{ $open{stored} };
my $came = up_to_end($stored[0]);

like($came, qr/good 5\nk:1 .*\nk:77 .*\nk:fine 1/s,
     'not compressed and not checked: it comes as it is');
is(scalar(grep { up_to_end($_) ne $came } @stored[1, 2]), 0, 'to all');
is(up_to_end($_), $want, 'checked: a gap, and what is after the damage')
    for @stored[3 .. 5];
is(up_to_end($_), $want, 'compressed: a gap, and what is after the damage')
    for @{ $open{packed} };

my $log = $t->read_file('error.log');

like($log, qr/partition 0 of topic "$_":/, "$_: it is logged")
    for sort keys %codec;
cmp_ok(scalar(() = $log =~ /\[(?:error|warn)\]/g), '<', 60,
       'and not again and again');

wait_for(sub {
    return !grep { !$_->{up} && $_->{failures}
                   || $_->{error} =~ /^partition/ }
           map { @{ $_->{kafka} } } @{ $t->status->{workers} };
}, 20, 'the status tells that it is over');

# the damage is behind: it goes on without another gap

for my $topic (sort keys %codec) {
    $kafka->produce($topic, ['k', 'on']);
    is(scalar(grep { ($_->read_pair)[1] ne 'on' } @{ $open{$topic} }), 0,
       "$topic: it goes on");
    $_->close for @{ $open{$topic} };
}

$t->stop;

done_testing();
