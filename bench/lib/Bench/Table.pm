package Bench::Table;

# A shape's figures as a table: medians of the rounds, and how ours compares
# with each peer in the same round, again the median.

use strict;
use warnings;

use Bench::Goals;

# name, head, width, format
my @columns = (
    [rate => 'deliv/s', 10, \&count],
    [accepted => 'sessions/s', 10, \&count],
    [bytes => 'B each', 8, \&count],
    [own => 'own', 7, \&count],
    [left => '% left', 7, \&fixed],
    [percent => '% core', 7, \&fixed],
    [us => 'us each', 8, \&fixed],
    [p50 => 'p50 ms', 8, \&fixed],
    [p99 => 'p99', 8, \&fixed],
    [p999 => 'p99.9', 8, \&fixed],
    [max => 'max', 8, \&fixed],
    [writes => 'writes', 7, \&share],
    [client => 'client', 7, \&fixed],
    [crossed => 'crossed', 7, \&fixed],
    [hop => 'hop ms', 7, \&fixed],
);

# ours divided by the peer's
my @ratios = ([us => 'us'], [p50 => 'p50'], [p99 => 'p99'],
              [rate => 'deliv/s'], [bytes => 'B'], [accepted => 'sess/s']);


sub count {
    my ($n) = @_;

    my $text = sprintf '%.0f', $n;

    1 while $text =~ s/^(\d+)(\d{3})/$1,$2/;
    return $text;
}


sub fixed {
    my ($n) = @_;

    return sprintf abs $n < 1 ? '%.3f' : $n < 10 ? '%.2f'
                   : $n < 1000 ? '%.1f' : '%.0f', $n;
}


sub share { sprintf '%.4f', $_[0] }


sub median {
    my (@n) = sort { $a <=> $b } grep { defined } @_;

    return if !@n;
    return $n[$#n / 2] if @n % 2;
    return ($n[@n / 2 - 1] + $n[@n / 2]) / 2;
}


sub print_shape {
    my ($shape, $peers, $results, $rounds) = @_;

    my %has;

    for my $figures (map { @$_ } values %$results) {
        next if !$figures;
        $has{$_} = 1 for grep { defined $figures->{$_} } keys %$figures;
    }

    my @shown = grep { $has{$_->[0]} } @columns;
    my @compared = grep { $has{$_->[0]} } @ratios;

    printf "%s: %s (%d round%s)\n", $shape->{name}, $shape->{title}, $rounds,
           $rounds > 1 ? 's, medians' : '';

    print ' ' x 12, map({ sprintf " %*s", $_->[2], $_->[1] } @shown),
          @$peers > 1 ? ('  | ours/this:',
                         map { sprintf ' %7s', $_->[1] } @compared) : (),
          "\n";

    for my $name (@$peers) {
        printf '%-12s', $name;
        row($results, $name, \@shown);
        compare($results, $name, \@compared) if $name ne 'ours';
        print "\n";
    }

    remarks($peers, $results);

    print "$_\n" for Bench::Goals::judge($shape, $results, sub {
        my ($code) = @_;

        return median(map { $code->($_) } 0 .. $rounds - 1);
    });

    print "\n";
}


sub row {
    my ($results, $name, $shown) = @_;

    for (@$shown) {
        my ($key, undef, $width, $format) = @$_;
        my $value = median(map { ref $_->{$key} ? undef : $_->{$key} }
                           grep { $_ } @{ $results->{$name} });

        printf ' %*s', $width, defined $value ? $format->($value) : '-';
    }
}


sub compare {
    my ($results, $name, $compared) = @_;

    my ($ours, $its) = @{$results}{'ours', $name};

    return if !$ours;

    print '  |           ';

    for (@$compared) {
        my $key = $_->[0];
        my @ratios;

        for my $round (0 .. $#$its) {
            my ($a, $b) = map { $_->[$round] && $_->[$round]{$key} }
                          $ours, $its;

            push @ratios, $a / $b if defined $a && $b;
        }

        my $ratio = median(@ratios);

        printf ' %7s', defined $ratio ? sprintf '%.2f', $ratio : '-';
    }
}


sub remarks {
    my ($peers, $results) = @_;

    for my $name (@$peers) {
        my $round = 0;

        for my $f (@{ $results->{$name} }) {
            $round++;

            print "  $name, round $round: nothing measured\n" if !$f;
            print "  $name, round $round: $f->{bad}\n" if $f && $f->{bad};

            printf "  %s, round %d: the producer was %.0f ms late\n",
                   $name, $round, $f->{late}
                if $f && ($f->{late} // 0) > 20;
        }
    }
}


1;
