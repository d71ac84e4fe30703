package Bench::Hold;

# Kinds where nothing is delivered: sessions that are held, or made.

use strict;
use warnings;

use Exporter qw(import);
use Time::HiRes qw(sleep time);

use Bench::Cost qw(cpu pss);
use Test::Fanout qw(util);
use Test::Fanout::Process;


# bytes for each session: memory with all of them less that without; CPU in
# percent of a core while they are held
sub idle {
    my ($peer, $shape) = @_;

    my @pids = $peer->pids;
    my $before = pss(@pids);
    my $begin = time;

    my $load = $peer->{now} = $peer->load;

    $load->await('open', 300);
    $peer->settle;

    my $took = time() - $begin;
    my $bytes = (pss(@pids) - $before) / $shape->{sessions};
    my $cpu = cpu(@pids);

    $begin = time;
    sleep $shape->{hold};

    my $percent = (cpu(@pids) - $cpu) / 1e7 / (time() - $begin);

    $_->close_in for $load->processes;
    my $f = $load->figures;

    return {
        bytes => $bytes, percent => $percent,
        accepted => $shape->{sessions} / $took,
        bad => $f->{gone} ? "$f->{gone} gone" : '',
    };
}


# sessions a second until all have subscribed and are served, CPU for each
sub storm {
    my ($peer, $shape) = @_;

    my @pids = $peer->pids;
    my $cpu = cpu(@pids);
    my $begin = time;

    my $load = $peer->{now} = $peer->load;

    $load->await('open', 120);
    $peer->settle;

    my $took = time() - $begin;

    $cpu = cpu(@pids) - $cpu;

    return {
        accepted => $shape->{sessions} / $took,
        us => $cpu / 1e3 / $shape->{sessions}, bad => '',
    };
}


# 200 sessions that come, take a few records of the same topic and leave
sub churn {
    my ($peer) = @_;

    return Test::Fanout::Process->new(
        cmd => [util('wsload'), '--port', $peer->port,
                '--filter', $peer->filter, '--sessions', 200,
                '--churn', 1000000, '--hold', 20, '--abrupt', 3],
        out => '/dev/null', err => '/dev/null');
}


1;
