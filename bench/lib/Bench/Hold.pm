package Bench::Hold;

# Kinds where nothing is delivered: sessions that are held, or made.

use strict;
use warnings;

use Exporter qw(import);
use Time::HiRes qw(sleep time);

use Bench::Cost qw(cpu memory);
use Test::Fanout qw(util);
use Test::Fanout::Process;


# who is there before memory is looked at first, so that all is there that
# does not grow with sessions, as what reads from Kafka
sub keep {
    my ($peer) = @_;

    my $keeper = $peer->{keeper} = $peer->load({
        %{ $peer->{shape} }, sessions => 1,
    });

    $keeper->await('open', 20);
    $peer->settle(1);
}


# bytes for each session: memory with all of them less that without, and of
# that what is its own; CPU in percent of a core while they are held
sub idle {
    my ($peer, $shape) = @_;

    keep($peer);

    my $sessions = $shape->{sessions};
    my @pids = $peer->pids;
    my %before = map { $_ => memory($_, @pids) } qw(Pss Pss_Anon);
    my $begin = time;

    my $load = $peer->{now} = $peer->load;

    $load->await('open', 300);
    $peer->settle($sessions + 1);

    my $took = time() - $begin;
    my %each = map { $_ => (memory($_, @pids) - $before{$_}) / $sessions }
               keys %before;
    my $cpu = cpu(@pids);

    $begin = time;
    sleep $shape->{hold};

    my $percent = (cpu(@pids) - $cpu) / 1e7 / (time() - $begin);

    my $f = $load->figures;
    $load->end($f);

    return {
        bytes => $each{Pss}, own => $each{Pss_Anon}, percent => $percent,
        accepted => $sessions / $took,
        bad => $f->{gone} ? "$f->{gone} gone" : '',
    };
}


# sessions a second until all have subscribed and are served, CPU for each;
# and how much more memory there is when they have left again, in percent
sub storm {
    my ($peer, $shape) = @_;

    keep($peer);

    my @pids = $peer->pids;
    my $before = memory('Pss', @pids);
    my $cpu = cpu(@pids);
    my $begin = time;

    my $load = $peer->{now} = $peer->load;

    $load->await('open', 120);
    $peer->settle($shape->{sessions} + 1);

    my $took = time() - $begin;

    $cpu = cpu(@pids) - $cpu;
    $load->stop;

    return {
        accepted => $shape->{sessions} / $took,
        us => $cpu / 1e3 / $shape->{sessions},
        left => left($before, @pids), bad => '',
    };
}


# what is more than before, in percent, when it has stopped to shrink
sub left {
    my ($before, @pids) = @_;

    my $memory = memory('Pss', @pids);
    my $same = 0;

    for my $try (1 .. 100) {
        sleep 0.1;

        my $now = memory('Pss', @pids);

        $same = $now < $memory ? 0 : $same + 1;
        $memory = $now if $now < $memory;

        last if $same == 40;
    }

    return ($memory / $before - 1) * 100;
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
