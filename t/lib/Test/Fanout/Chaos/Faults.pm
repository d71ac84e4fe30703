package Test::Fanout::Chaos::Faults;

# What goes wrong in t/chaos: each fault is a function of the run and of a
# list of numbers from 0 to 1 that were drawn for it.  It does its work at
# once, and what belongs to it later through $run->later(seconds, code).  It
# returns what it did, or nothing if there was nobody to do it to.

use strict;
use warnings;

use Exporter qw(import);

use Test::Fanout::Process;


our @EXPORT_OK = qw(%faults);

our %faults = (
    'reload' => sub { reload($_[0], 'the same') },
    'reload-zone' => \&reload_zone,
    'reload-workers' => \&reload_workers,
    'reload-cluster' => \&reload_cluster,
    'reloads' => sub { reload($_[0], 'the same') for 1 .. 10; 'ten' },

    'kill' => sub { hit($_[0], 'KILL', pick($_[1], $_[0]->workers)) },
    'kill-owner' => sub { hit($_[0], 'KILL', pick($_[1], owners(@_))) },
    'kill-reader' => sub { hit($_[0], 'KILL', pick($_[1], readers(@_))) },
    'kill-old' => sub { hit($_[0], 'KILL', pick($_[1], $_[0]->old)) },
    'term-old' => sub { hit($_[0], 'TERM', pick($_[1], $_[0]->old)) },
    'segv' => sub { hit($_[0], 'SEGV', pick($_[1], $_[0]->workers)) },

    'stop' => sub { pause($_[0], $_[1], 0.2 + 2.8 * $_[2]) },
    'stop-short' => sub { pause($_[0], $_[1], 0.2 + 0.4 * $_[2]) },
    'stop-long' => sub { pause($_[0], $_[1], 3) },

    'broker-restart' => sub { broker($_[0], 'stop', $_[1]) },
    'broker-kill' => sub { broker($_[0], 'kill', $_[1]) },
    'grow' => \&grow,
    'topic' => \&topic,

    'churn' => \&churn,
    'stall' => \&stall,
);

# the weights with which they are drawn
my %weights = (
    'reload' => 3, 'reload-zone' => 1, 'reload-workers' => 2,
    'reload-cluster' => 1, 'reloads' => 0.5, 'kill' => 3, 'kill-owner' => 3,
    'kill-reader' => 2, 'kill-old' => 2, 'term-old' => 2, 'segv' => 1,
    'stop' => 3, 'stop-short' => 2, 'broker-restart' => 0.7,
    'broker-kill' => 0.7, 'grow' => 0.5, 'topic' => 0.5, 'churn' => 2,
    'stall' => 2,
);

my %once = map { $_ => 1 } qw(grow topic);


sub known { $faults{$_[0]} }


# -- what to do when: [time, name, two numbers]

# a generator of our own: others draw from perl's
sub generator {
    my ($state) = @_;

    $state = ($state * 2654435761 + 12345) & 0x7fffffff;

    return sub {
        $state = ($state * 1103515245 + 12345) & 0x7fffffff;
        return ($state >> 8) / 0x800000;
    };
}


# at random, from some seconds after the start to some before the end
sub plan {
    my ($seed, $from, $to, $every, @names) = @_;

    my $random = generator($seed);
    my @plan;

    @names = sort keys %weights if !@names;

    for (my $at = $from; $at < $to; $at += $every * (0.2 + 1.6 * $random->()))
    {
        my $sum = 0;
        $sum += $weights{$_} || 1 for @names;

        my $x = $random->() * $sum;
        my $name;

        for (@names) {
            $name = $_;
            last if ($x -= $weights{$_} || 1) < 0;
        }

        push @plan, [$at, $name, $random->(), $random->()];
        @names = grep { $_ ne $name } @names if $once{$name} && @names > 1;
    }

    return @plan;
}


# exactly these, in an order that the seed decides
sub storm {
    my ($seed, $from, $to) = @_;

    my $random = generator($seed);

    my @names = (('reload') x 10, ('kill') x 10, ('stop-long') x 5,
                 ('broker-restart', 'broker-kill'));

    for my $i (reverse 1 .. $#names) {
        my $j = int $random->() * ($i + 1);
        @names[$i, $j] = @names[$j, $i];
    }

    my $step = ($to - $from) / @names;

    return map {
        [$from + $step * ($_ + 0.8 * $random->()), $names[$_], $random->(),
         $random->()]
    } 0 .. $#names;
}


# -- of workers

sub pick {
    my ($x, @from) = @_;

    return @from ? $from[int $x * @from] : undef;
}


sub owners { grep { $_[0]->owns($_) } $_[0]->workers, $_[0]->old }
sub readers { grep { !$_[0]->owns($_) } $_[0]->workers }


sub hit {
    my ($run, $signal, $pid) = @_;

    return if !$pid;

    my $what = "$signal $pid" . ($run->owns($pid) ? ', an owner' : '');

    $run->killed($pid, $signal);
    kill $signal, $pid;

    # a stopped one dies, too, but TERM waits for it to go on

    kill 'CONT', $pid;

    return $what;
}


sub pause {
    my ($run, $x, $seconds) = @_;

    my $pid = pick($x, $run->workers) or return;

    # by a process of its own: what this one waits for meanwhile may need a
    # lock that the stopped one holds

    kill 'STOP', $pid;
    push @{ $run->{pauses} }, Test::Fanout::Process->new(
        cmd => [$^X, '-e', 'select undef, undef, undef, shift;'
                           . 'kill "CONT", shift', $seconds, $pid],
        out => '/dev/null');

    return sprintf '%d for %.2f s%s', $pid, $seconds,
                   $run->owns($pid) ? ', an owner' : '';
}


sub reload {
    my ($run, $what) = @_;

    my @old = $run->reload;

    return "$what, old: @old";
}


sub reload_zone {
    my ($run) = @_;

    $run->{vars}{ZONE} = $run->{vars}{ZONE} eq '32m' ? '48m' : '32m';

    return reload($run, "zone $run->{vars}{ZONE}");
}


sub reload_cluster {
    my ($run) = @_;

    $run->{vars}{WAIT} = $run->{vars}{WAIT} == 100 ? 50 : 100;

    return reload($run, "fetch.wait.max.ms $run->{vars}{WAIT}");
}


sub reload_workers {
    my ($run, $x) = @_;

    my $n = 1 + int $x * 2 * $run->{workers};

    $run->{t}{workers} = $n;

    return reload($run, "$n workers");
}


# -- of Kafka

sub broker {
    my ($run, $how, $x) = @_;

    return if $run->{down};

    $run->{down} = 1;

    # it may take seconds to end

    $how eq 'kill' ? $run->{kafka}->kill : $run->{kafka}->stop;

    $run->later(3 * $x, sub {
        $run->{kafka}->start;
        $run->{down} = 0;
        return 'up';
    });

    return $how;
}


# a partition more, and records in it, of keys of their own
sub grow {
    my ($run) = @_;

    return if $run->{down};

    my $n = $run->{partitions}++;

    $run->{kafka}->topic('grow', $run->{topic}, $n + 1);
    $run->produce($run->{topic}, 50, '--partition', $n, '--from',
                  $run->{keys}, '--keys', 10);

    return "partition $n";
}


# subscribers first: they are refused until it is there
sub topic {
    my ($run) = @_;

    return if $run->{down};

    my $name = "$run->{topic}-later";

    $run->watch('later', $name, 4);
    $run->{kafka}->create($name, 3);
    $run->produce($name, 50, '--keys', 10);

    return $name;
}


# -- of clients

# half of them on what others read, half on what nobody does
sub churn {
    my ($run) = @_;

    my $watch = $run->watch('storm-' . ++$run->{storms},
                            "$run->{topic}/key-%d", 60,
                            '--mod', 2 * $run->{keys}, '--stay', 100,
                            '--leave', 'close,reset,cut,bad');

    $run->later(3, sub { $run->unwatch($watch); 'over' });

    return '60 sessions of 0 to 100 ms';
}


sub stall {
    my ($run, $x, $y) = @_;

    my $n = 1 + int $x * $run->{slow};

    $run->tell('slow', "stall $n");
    $run->later(0.5 + 3 * $y, sub { $run->tell('slow', 'resume'); 'over' });

    return sprintf '%d readers for %.1f s', $n, 0.5 + 3 * $y;
}


1;
