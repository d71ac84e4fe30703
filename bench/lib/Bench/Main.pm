package Bench::Main;

# What bench/run does, in order: shape by shape, round by round, one peer after
# the other.

use strict;
use warnings;

use POSIX ();
use Test::More ();
use Time::HiRes qw(time);

use Bench::Kinds;
use Bench::Options;
use Bench::Shapes;
use Bench::Table;
use Test::Fanout::Kafka;

my $begin = time;


sub run {
    my $o = Bench::Options::parse(@_);

    return list() if $o->{list};

    # nginx's harness says "ok" when all is well: only its result counts here

    Test::More->builder->output(\my $quiet);
    Test::More->builder->no_ending(1);

    $| = 1;

    my $env = {
        kafka => Test::Fanout::Kafka->shared, quick => $o->{quick},
    };

    head();
    warm_up($env);

    for my $shape (@{ $o->{shapes} }) {
        my $rounds = $o->{quick} ? 1 : $shape->{rounds} || 3;
        my @peers = Bench::Options::peers($o, $shape) or next;

        $rounds = $o->{rounds} if $o->{rounds};
        $shape->{hold} = $o->{hold} if $o->{hold};
        shape($env, $shape, $rounds, @peers);
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


# a broker that has just been started compiles its code while it serves: on few
# cores that is in the figures of whoever comes first

sub warm_up {
    my ($env) = @_;

    Bench::Kinds::measure($env, 'raw', Bench::Shapes::warm_up(), {});
}


sub shape {
    my ($env, $shape, $rounds, @peers) = @_;

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
