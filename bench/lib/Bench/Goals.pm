package Bench::Goals;

# What a shape is to reach, told below its table.  A goal is
#
#     [us => 'floor', 1.15]     ours at most 1.15 times the floor's
#     [rate => 'raw', -0.6]     at least 0.6 times
#     [us => undef, 0.15]       at most 0.15; -0.15: at least
#     [p50 => '+raw', 0.1]      at most 0.1 above
#     [p99 => '+ours', 10, 'ours-join']
#                               of another than ours
#     ['text', sub {...}, 1]    what the code makes of a round's figures,
#                               $f->('ours', 'us')
#
# The median of the rounds is judged.  Where a figure is missing, as of a
# peer that was not measured, nothing is said.

use strict;
use warnings;

my %unit = (
    us => 'us each', rate => 'deliv/s', own => 'bytes each',
    percent => '% of a core', p50 => 'p50', p99 => 'p99',
    hop => 'ms later than beside who reads',
    crossed => 'crossings of a record to a worker',
    left => '% of memory left after',
);

my $missing = "not measured\n";


# lines; $median->($code) is the median of what code says for each round
sub judge {
    my ($shape, $results, $median) = @_;

    my @lines;

    for my $goal (@{ $shape->{goals} || [] }) {
        my ($text, $code, $limit) = @$goal;

        ($text, $code) = compared(@$goal) if ref $code ne 'CODE';

        my $value = $median->(sub { of_round($results, $_[0], $code) });

        next if !defined $value;

        my $reached = $limit < 0 ? $value >= -$limit : $value <= $limit;

        push @lines, sprintf '  to reach: %s %s %s: %s, %s', $text,
                     $limit < 0 ? 'at least' : 'at most',
                     number(abs $limit), number($value),
                     $reached ? 'yes' : 'NO';
    }

    return @lines;
}


sub number {
    my ($n) = @_;

    return sprintf abs $n < 1000 ? '%.4g' : '%.0f', $n;
}


# undef if a figure is missing
sub of_round {
    my ($results, $round, $code) = @_;

    my $value = eval {
        $code->(sub {
            my ($name, $key) = @_;

            return ($results->{$name}[$round] || {})->{$key} // die $missing;
        });
    };

    die $@ if $@ && $@ ne $missing;
    return $value;
}


# text and code of a plain one
sub compared {
    my ($key, $other, undef, $who) = @_;

    my $of = $who ? " of $who" : '';

    $who //= 'ours';

    return ("$unit{$key}$of", sub { $_[0]->($who, $key) }) if !defined $other;

    my ($add, $name) = $other =~ /^(\+?)(.*)/;

    return ("$unit{$key}$of above $name", sub {
        return $_[0]->($who, $key) - $_[0]->($name, $key);
    }) if $add;

    return ("$unit{$key}$of, times $name", sub {
        return $_[0]->($who, $key) / ($_[0]->($name, $key) || die $missing);
    });
}


1;
