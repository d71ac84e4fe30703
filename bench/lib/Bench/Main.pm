package Bench::Main;

# The command line of bench/run, and its order: shape by shape, round by
# round, one peer after the other.

use strict;
use warnings;

use Getopt::Long qw(GetOptionsFromArray);
use List::Util qw(first);
use Test::More ();
use Time::HiRes qw(time);

use Bench::Kinds;
use Bench::Peers;
use Bench::Shapes;
use Bench::Table;
use Test::Fanout::Kafka;

my $begin = time;


sub run {
    my (@args) = @_;

    my %o;

    GetOptionsFromArray(\@args, \%o, 'quick', 'all', 'list', 'rounds=i',
                        'peers=s', 'hold=i')
        or exit 2;

    return list() if $o{list};

    my @shapes = Bench::Shapes::wanted(\%o, @args)
        or die "bench/run: which shapes? See bench/run --list\n";

    check_peers($o{peers}) if $o{peers};

    # nginx's harness says "ok" when all is well: only its result counts here

    Test::More->builder->output(\my $quiet);
    Test::More->builder->no_ending(1);

    $| = 1;

    my $env = {
        kafka => Test::Fanout::Kafka->new, quick => $o{quick},
    };

    head();

    for my $shape (@shapes) {
        my $rounds = $o{quick} ? 1 : $shape->{rounds} || 3;

        $rounds = $o{rounds} if $o{rounds};
        $shape->{hold} = $o{hold} if $o{hold};
        shape($env, $shape, $rounds, \%o);
    }

    $env->{kafka}->stop;

    printf "%d s in all\n", time() - $begin;
}


sub list {
    for my $shape (Bench::Shapes::all()) {
        printf "%-10s %-18s %s\n", $shape->{group}, $shape->{name},
               $shape->{title};
    }
}


sub check_peers {
    my ($peers) = @_;

    for my $name (split /,/, $peers) {
        grep { $_ eq $name } Bench::Peers::names()
            or die "bench/run: no peer \"$name\"\n";
    }
}


sub head {
    open my $cpus, '<', '/proc/cpuinfo' or die "/proc/cpuinfo: $!\n";
    my @models = grep { /^model name/ } <$cpus>;
    my ($model) = ($models[0] // '') =~ /:\s*(.*)/;

    open my $load, '<', '/proc/loadavg' or die "/proc/loadavg: $!\n";
    my ($average) = <$load> =~ /^(\S+)/;

    my $os = (POSIX::uname())[2];

    printf "%d CPUs (%s), Linux %s, load %s at the start\n\n",
           scalar @models, $model // 'unknown', $os, $average;
}


sub shape {
    my ($env, $shape, $rounds, $o) = @_;

    my @peers = @{ $shape->{peers} };

    if ($o->{peers}) {
        my %want = map { $_ => 1 } split /,/, $o->{peers};
        @peers = grep { $want{$_} || $want{ s/-.*//r } } @peers;
        return if !@peers;
    }

    my (%results, %context);

    for my $round (1 .. $rounds) {
        for my $name (@peers) {
            my $figures = eval {
                Bench::Kinds::measure($env, $name, $shape, \%context);
            };

            if (!$figures) {
                my $error = $@ || "nothing measured\n";
                $error =~ s/\n.*//s;
                warn "$shape->{name}, $name, round $round: $error\n";
            }

            push @{ $results{$name} }, $figures;
        }
    }

    Bench::Table::print_shape($shape, \@peers, \%results, $rounds);
}


1;
