package Bench::Kinds;

# Kinds of measurements.  Each takes a peer that is running and returns its
# figures: rate, us (CPU of the server for each delivery), p50, p99, p999,
# max (ms), writes (for each delivery), client (us of the subscribers' CPU),
# late (ms, of the producer), bad (what went wrong, as text).

use strict;
use warnings;

use Time::HiRes qw(clock_gettime CLOCK_MONOTONIC sleep);

use Bench::Cost qw(counter counted);
use Bench::Hold;
use Bench::Load;
use Bench::Peer;
use Bench::Peers;

my %kinds = (
    stream => \&stream, flat => \&flat,
    idle => \&Bench::Hold::idle, storm => \&Bench::Hold::storm,
    churn => \&stream,
);


# "context" lives as long as the shape: what one peer tells the next
sub measure {
    my ($env, $name, $shape, $context) = @_;

    my $figures = with($env, $name, $shape, $context, $kinds{$shape->{kind}});

    if (!defined $figures->{writes} && $shape->{kind} eq 'stream'
        && $name ne 'raw' && $shape->{miss} == 1
        && ($shape->{rate} || !$env->{quick}))
    {
        $figures->{writes} = $context->{"writes-$name"}
            //= with($env, $name, { %$shape }, $context, \&count_writes);
    }

    $context->{writes} = $figures->{writes} if $name eq 'ours';

    return $figures;
}


sub with {
    my ($env, $name, $shape, $context, $code) = @_;

    my $peer = Bench::Peers::make($env, $name, $shape);

    $peer->{context} = $context;

    my $result = eval {
        $peer->start;
        $code->($peer, $peer->{shape});
    };

    my $error = $@;

    # whatever happened, it shall not run beside the next one

    eval {
        $_->stop for grep { $_ } @{$peer}{qw(churn keeper beside now)};
        $peer->stop;
    };

    $error ||= $@;
    die $error if $error;

    return $result;
}


# subscribers that are there and get what is sent
sub ready {
    my ($peer) = @_;

    my $load = $peer->{now} = $peer->load;

    $load->await('open', 120);
    $peer->settle;
    $load->warm(sub { $peer->warm });
    $peer->{beside}->await('warm', 10) if $peer->{beside};

    return $load;
}


sub stream {
    my ($peer, $shape) = @_;

    my $load = ready($peer);

    $peer->{churn} = Bench::Hold::churn($peer) if $peer->{option} eq 'churn';

    my $delivered = $peer->{churn} && $peer->delivered;
    my $writes = $peer->writes;
    my $cpu = $peer->cpu;

    my $beside = $peer->{beside};

    $_->expect for grep { $_ } $load, $beside;

    my $process = $peer->produce;
    my $f = $load->figures;
    my $made = $peer->made($process);

    $cpu = $peer->cpu - $cpu;
    $writes = $peer->writes - $writes if defined $writes;

    $load->end($f);

    my $figures = figures($peer, $load, $f, $made->{start} / 1e9, $cpu,
                          $writes, $made->{late_ms});

    if ($beside) {
        my $its = figures($peer, $beside, $beside->figures,
                          $made->{start} / 1e9, 0, undef, 0);

        $figures->{hop} = $figures->{p50} - $its->{p50};
        $figures->{bad} = join ', ', grep { $_ } $figures->{bad}, $its->{bad};

        # two were served

        $figures->{$_} /= 2 for qw(us writes);
    }

    # those that come and go get records, too

    if ($delivered) {
        my $share = $f->{deliveries} / ($peer->delivered - $delivered);

        $figures->{$_} *= $share for qw(us writes);
    }

    return $figures;
}


# all lies in Kafka before who reads it may go on
sub flat {
    my ($peer, $shape) = @_;

    my $load = ready($peer);

    # nothing counts before

    my $cpu = $peer->cpu;
    my $writes = $peer->writes;

    $peer->signal('STOP');
    $load->expect;
    $peer->made($peer->produce);

    my $start = clock_gettime(CLOCK_MONOTONIC);

    $peer->signal('CONT');

    my $f = $load->figures;

    $cpu = $peer->{load} ? $f->{cpu} : $peer->cpu - $cpu;
    $writes = $peer->writes - $writes if defined $writes;

    $load->end($f);

    my $figures = figures($peer, $load, $f, $start, $cpu, $writes, 0);

    delete @{$figures}{qw(p50 p99 p999 max)};

    return $figures;
}


sub figures {
    my ($peer, $load, $f, $start, $cpu, $writes, $late) = @_;

    my $shape = $peer->{shape};
    my $n = $f->{deliveries} || 1;
    my $seconds = $f->{last_at} / 1e9 - $start;
    my $each = $shape->{miss} > 1 ? $shape->{count} : $n;

    # a process that is its own subscriber has only one CPU to tell of

    $cpu = $f->{cpu} if $peer->isa('Bench::Peer::Raw');

    my @bad;

    push @bad, $load->{expected} - $f->{deliveries} . ' missing'
        if $f->{deliveries} < $load->{expected};
    push @bad, map { "$f->{$_} $_" } grep { $f->{$_} }
               qw(lost doubled foreign gone)
        if !$peer->isa('Bench::Peer::Raw') || $shape->{keys} == 1;
    push @bad, grep { $_ ne '' } $peer->doubt;
    push @bad, map { "\"$_\" $f->{notices}{$_} times" }
               sort keys %{ $f->{notices} };

    return {
        rate => $each / $seconds, us => $cpu / 1e3 / $each,
        p50 => Bench::Load::percentile($f->{latency}, 0.5),
        p99 => Bench::Load::percentile($f->{latency}, 0.99),
        p999 => Bench::Load::percentile($f->{latency}, 0.999),
        max => $f->{max} / 1e6,
        writes => defined $writes ? $writes / $n : undef,
        client => $f->{cpu} / 1e3 / $n, late => $late,
        crossed => $peer->crossed, bad => join(', ', @bad),

        # what is for each record says nothing of deliveries, and pings of
        # very many are more than these

        $shape->{miss} > 1 ? (writes => undef, client => undef) : (),
    };
}


# a run of its own, for perf slows it down; false: nobody knows
sub count_writes {
    my ($peer, $shape) = @_;

    $shape->{count} = int($shape->{count} / 4) || 1 if $shape->{rate};

    my $load = ready($peer);
    my $counter = counter($peer->pids) // return \0;

    # until it has attached

    sleep 0.5;
    $load->expect;

    my $process = $peer->produce;
    my $f = $load->figures;

    $peer->made($process);

    my $n = counted($counter);

    return defined $n && $f->{deliveries} ? $n / $f->{deliveries} : \0;
}


1;
