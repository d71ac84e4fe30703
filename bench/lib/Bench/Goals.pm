package Bench::Goals;

# What a shape is to reach, told below its table.  A goal is
#
#     [us => 'floor', 1.15]     ours at most 1.15 times the floor's
#     [rate => 'raw', -0.6]     at least 0.6 times
#     [us => undef, 0.15]       at most 0.15; -0.15: at least
#     [p50 => '+raw', 0.1]      at most 0.1 above
#     ['sum']                   us of a key's record: at most that of raw, and
#                               1.15 of the floor's send, and 1

use strict;
use warnings;

my %unit = (us => 'us each', rate => 'deliv/s', bytes => 'bytes each',
            percent => '% of a core', p50 => 'p50', p99 => 'p99');


# lines; $median->($code) is the median of what code says for each round
sub judge {
    my ($shape, $results, $median) = @_;

    my @lines;

    for my $goal (@{ $shape->{goals} || [] }) {
        my ($key, $other, $limit) = @$goal;
        my ($text, $value, $most);

        if ($key eq 'sum') {
            ($text, $most) = ('us each above raw + 1.15 x floor', 1);
            $value = $median->(sub { above($results, $_[0]) });

        } else {
            $most = $limit;
            $text = what($key, $other);
            $value = $median->(sub {
                compared($results, $_[0], $key, $other);
            });
        }

        next if !defined $value;

        my $reached = $most < 0 ? $value >= -$most : $value <= $most;

        push @lines, sprintf '  to reach: %s %s %s: %.4g, %s', $text,
                     $most < 0 ? 'at least' : 'at most', abs $most, $value,
                     $reached ? 'yes' : 'NO';
    }

    return @lines;
}


sub what {
    my ($key, $other) = @_;

    return $unit{$key} if !defined $other;
    return "$unit{$key} above $1" if $other =~ /^\+(.*)/;
    return "$unit{$key}, times $other";
}


sub compared {
    my ($results, $round, $key, $other) = @_;

    my $ours = $results->{ours}[$round] or return;
    my $value = $ours->{$key} // return;

    return $value if !defined $other;

    my ($add, $name) = $other =~ /^(\+?)(.*)/;
    my $its = ($results->{$name}[$round] || return)->{$key};

    return if !defined $its || !$its;
    return $add ? $value - $its : $value / $its;
}


sub above {
    my ($results, $round) = @_;

    my @us = map { my $f = $results->{$_}[$round]; $f && $f->{us} }
                 qw(ours raw floor);

    return if grep { !defined } @us;
    return $us[0] - $us[1] - 1.15 * $us[2];
}


1;
