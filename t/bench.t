#!/usr/bin/perl
# once

# bench/run measures: a table with its columns, nothing lost on the way, what
# is to be reached; and it refuses arguments that make no sense.  How fast
# anything is, is not tested: the machine is busy with tests.

use strict;
use warnings;

use File::Temp;
use FindBin;
use Test::More;
use Test::Fanout;
use Test::Fanout::Kafka;
use Test::Fanout::Process;

# peers that need no package beyond those of the tests
my $peers = 'ours,floor,raw';


# status, what it prints, and what it says on stderr
sub bench {
    my (@args) = @_;

    my $err = File::Temp->new;
    my $process = Test::Fanout::Process->new(
        cmd => ["$FindBin::Bin/../bench/run", @args], err => "$err");
    my $out = '';

    # programs are built first, if they are not

    while (defined(my $line = $process->line(120))) {
        $out .= "$line\n";
    }

    my $status = $process->wait(20) // die "bench/run hangs\n";

    return ($status >> 8, $out, join '', <$err>);
}


# a table as peer => {column => value}; "line" is its first column
sub table {
    my ($out, $shape) = @_;

    my ($head, $rows) = $out =~ /^\Q$shape\E: .*\n(.*)\n((?:\S.*\n)+)/m
        or return {};
    my %table;

    # some names are of two words

    my @columns = split ' ', $head =~ s/\|.*//r =~ s/(us|p50) (each|ms)/$1/gr;

    for (split /\n/, $rows) {
        my ($name, @values) = split ' ', s/\|.*//r;

        @{ $table{$name} }{@columns} = @values;
    }

    return \%table;
}


# lines below the tables, but for the machine's own troubles
sub complaints {
    my ($out) = @_;

    return join '', grep { /^  \S+, round / && !/the producer was/ }
                    split /^/, $out;
}


# -- arguments

my @wrong = (
    [[], qr/^bench\/run: which shapes\?/],
    [['nonsense'], qr/^bench\/run: no shape "nonsense"$/],
    [['--nonsense', 'one'], qr/^bench\/run: unknown option: nonsense$/],
    [['--rounds', 'x', 'one'], qr/^bench\/run: value "x" invalid .* rounds/],
    [['--rounds', '0', 'one'], qr/^bench\/run: --rounds: a number above 0/],
    [['--hold', '-1', 'idle'], qr/^bench\/run: --hold: a number above 0/],
    [['--peers', 'ours,nobody', 'one'], qr/^bench\/run: no peer "nobody"$/],
    [['--peers', 'ours-x', 'one'], qr/^bench\/run: no peer "ours-x"$/],
    [['--peers', ',', 'one'], qr/^bench\/run: --peers: whom\?$/],
    [['--peers', 'floor', 'one'], qr/^bench\/run: no such peers in what/],
);

for (@wrong) {
    my ($args, $like) = @$_;
    my ($status, $out, $err) = bench(@$args);

    subtest "refused: @$args" => sub {
        is($status, 2, 'status');
        is($out, '', 'nothing is measured');
        is($err =~ tr/\n//, 1, 'one line');
        like($err, $like, 'which says why');
    };
}

my ($status, $out, $err) = bench('--list');

is($status, 0, '--list');
like($out, qr/^key +key-1000 +1,000 subscribers, a key each, /m, 'a shape');

# -- measuring

ok(Test::Fanout::Kafka->shared, 'Kafka');

($status, $out, $err) = bench('--quick', '--peers', "$peers,ours-join",
                              'key-1000', 'hop-flat');

is($status, 0, 'two shapes') or diag($err);
is(complaints($out), '', 'nothing is lost, doubled or foreign')
    or diag($out, $err);

my $table = table($out, 'key-1000');

is(join(' ', sort keys %$table), 'floor ours ours-join raw', 'who takes part');

for my $name (sort keys %$table) {
    my %its = %{ $table->{$name} };

    is(join(' ', sort keys %its),
       'client deliv/s max p50 p99 p99.9 us writes', "$name: columns");
    is(join(' ', grep { ($its{$_} // '') !~ /^[\d.,]+$/ } sort keys %its),
       $name eq 'raw' ? 'writes' : '', "$name: numbers");
}

$table = table($out, 'hop-flat');

is(join(' ', sort keys %$table), 'ours ours-join ours-own', 'and in the other');
cmp_ok($table->{ours}{crossed}, '==', 1,
       'each record came from the other worker');
cmp_ok($table->{'ours-own'}{crossed}, '==', 0, 'or none');

my @goals = $out =~ /^  to reach: (.*?): [-\d.e]+, (?:yes|NO)$/mg;

is_deeply(\@goals,
          ['us each above raw + 1.15 x floor at most 1',
           'p99, times raw at most 2',
           'us each for the ring, batched at most 0.6',
           'crossings of a record to a worker at most 1'],
          'what is to be reached') or diag($out);

done_testing();
