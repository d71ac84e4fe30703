#!/usr/bin/perl
# once

# The clusters that tests use do what they are told, and so does what fills
# them.

use strict;
use warnings;

use File::Temp;
use Test::More;
use Test::Fanout;
use Test::Fanout::Broker;
use Test::Fanout::Kafka;

my $broker = Test::Fanout::Broker->new(incoming => 4);

is_deeply([$broker->produce('incoming', ['--partition', 2],
                            ['a', 'b'], [undef, ''], ["\0\t\xff", undef])],
          [[2, 0], [2, 1], [2, 2]], 'records on the embedded broker');

$broker->create('later', 7);
is(scalar(my @partitions = $broker->offsets('later')), 7, 'another topic');

$broker->tell('error', 'later', 'TOPIC_AUTHORIZATION_FAILED');
ok(!eval { $broker->tell('nonsense'); 1 }, 'an unknown command is refused');
$broker->stop;

# a real one

my $kafka = Test::Fanout::Kafka->shared;
my $name = $kafka->create($kafka->unique, 3);

my $figures = $kafka->produce_many($name, '--count', 3000, '--keys', 30,
                                   '--txn', 100, '--abort', 10);

is($figures->{acked}, 3300, 'records and aborted ones') or diag(%$figures);

my $sum = 0;
$sum += $_->[1] - $_->[0] for $kafka->offsets($name);

cmp_ok($sum, '>', 3300, 'and the markers of the transactions');

$kafka->topic('grow', $name, 5);
$kafka->topic('trim', $name, 0, 10);

my @offsets = $kafka->offsets($name);

is(scalar @offsets, 5, 'more partitions');
is($offsets[0][0], 10, 'fewer records');

$kafka->topic('delete', $name);
ok(!eval { $kafka->offsets($name); 1 }, 'a deleted topic is gone');

# receipts, of an own range of keys

my $logged = $kafka->create($kafka->unique, 2);
my $receipts = File::Temp->new;
my $producer = $kafka->start_producing($logged, '--count', 1e9, '--rate',
                                       1000, '--keys', 2, '--from', 8,
                                       '--partition', 1, '--log',
                                       "$receipts");

wait_for(sub { ($kafka->offsets($logged))[1][1] > 10 }, 20, 'records');
$producer->signal('TERM');
$figures = Test::Fanout->figures($producer, 30);

my @receipts = map { s/^(\S+ \d+) \d+ /$1 /r } <$receipts>;

is(scalar @receipts, $figures->{acked}, 'a receipt of each until SIGTERM');
is(join('', @receipts[0 .. 2]),
   "key-8 0 1 0 0\nkey-9 0 1 1 1\nkey-8 1 1 2 2\n",
   'key, number, partition, number there, offset');

my $compact = $kafka->create($kafka->unique, 1,
                             'cleanup.policy' => 'compact');

is_deeply([$kafka->produce($compact, ['k', 'v'], ['k', undef])],
          [[0, 0], [0, 1]], 'a compacted topic');

# one of our own, killed

my $own = Test::Fanout::Kafka->new(sasl => 1);

$own->create('kept', 1);
$own->produce('kept', ['k', 'v']);
$own->kill;
$own->start;

is_deeply([$own->offsets('kept')], [[0, 1]], 'a record survives a kill');
isnt($own->sasl_servers, $own->servers, 'a listener with a password');
ok($own->stop, 'an end in time');

done_testing();
