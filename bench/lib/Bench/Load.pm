package Bench::Load;

# The subscribers of one measurement, in as many processes as they need.

use strict;
use warnings;

use JSON::PP ();
use List::Util qw(max min sum0);

use Test::Fanout::Process;

# connect() looks for a port among every other one first, of 14,116 by default,
# and each of them is tried when these are used up
use constant PER_PROCESS => 12000;

my $json = JSON::PP->new;


# new($command, $shape, @options): one more subscriber process for each
# PER_PROCESS sessions, from an address of its own
sub new {
    my ($class, $command, $shape, @options) = @_;

    my @parts;
    my $n = $shape->{sessions};
    my $stall = $shape->{stall} || 0;

    for (my $first = 0; $first < $n; $first += PER_PROCESS) {
        my $part = min(PER_PROCESS, $n - $first);

        push @parts, {
            first => $first, sessions => $part,
            process => Test::Fanout::Process->new(in => 1, cmd => [
                $command, '--sessions', $part, '--first', $first,
                '--source', '127.0.0.' . (2 + @parts), @options,
                '--stall', max(0, min($part, $stall - $first)),
            ]),
        };
    }

    return bless { shape => $shape, parts => \@parts }, $class;
}


# one process that is no subscriber of a server
sub single {
    my ($class, $shape, @command) = @_;

    return bless {
        shape => $shape,
        parts => [{
            first => 0, sessions => 1,
            process => Test::Fanout::Process->new(in => 1, cmd => \@command),
        }],
    }, $class;
}


sub processes { map { $_->{process} } @{ $_[0]{parts} } }
sub pids { map { $_->pid } $_[0]->processes }


# until each has said that word; what it said behind it, the largest
sub await {
    my ($self, $word, $seconds) = @_;

    my @said;

    for my $process ($self->processes) {
        my $line = $process->line($seconds)
                   // die "a load process ended early\n";

        if ($line =~ /^\{/) {
            my $notices = $json->decode($line)->{notices};
            die 'no "' . $word . '", but ' . $json->encode($notices) . "\n";
        }

        die "\"$line\" instead of \"$word\"\n" if $line !~ /^$word\b ?(\d*)/;
        push @said, $1 || 0;
    }

    return max(@said);
}


# calls the code until each has had a warm record
sub warm {
    my ($self, $code) = @_;

    for my $try (1 .. 20) {
        $code->();
        return if eval { $self->await('warm', 1 + $try / 2); 1 };
        die $@ if $@ !~ /no line in time/;
    }

    die "not every subscriber gets records\n";
}


# how many records each process will get
sub expect {
    my ($self) = @_;

    my $shape = $self->{shape};

    for my $part (@{ $self->{parts} }) {
        my $n = $self->{all} ? $self->{all} : expected($shape, $part);

        $self->{expected} += $n;
        $part->{expects} = $n;
        $part->{process}->say("expect $n") if $n;
    }

    return $self->{expected};
}


sub expected {
    my ($shape, $part) = @_;

    my ($first, $sessions) = @{$part}{qw(first sessions)};
    my $stall = $shape->{stall} || 0;
    my $n = int($shape->{count} / $shape->{miss});

    return $n * ($sessions - max(0, min($sessions, $stall - $first)))
        if $shape->{keys} == 1;

    # keys come in turn: the first ones once more

    my $rest = $n % $shape->{keys};

    return int($n / $shape->{keys}) * $sessions
           + max(0, min($sessions, $rest - $first));
}


# of those that expect something, as those of one; the sessions stay
sub figures {
    my ($self, $seconds) = @_;

    my %sum = (latency => {}, notices => {}, max => 0, last_at => 0);

    add(\%sum, $_->{process}, $seconds || 120)
        for grep { $_->{expects} } @{ $self->{parts} };

    return \%sum;
}


# all end; adds what those say that expected nothing
sub end {
    my ($self, $sum) = @_;

    $_->close_in for $self->processes;

    add($sum, $_->{process}, 10)
        for grep { !$_->{expects} } @{ $self->{parts} };

    $_->wait(10) for $self->processes;
}


sub add {
    my ($sum, $process, $seconds) = @_;

    my $line = $process->line($seconds)
               // die "a load process said nothing\n";
    my $f = $json->decode($line);

    $sum->{$_} += $f->{$_}
        for qw(deliveries lost doubled foreign cpu reads bytes gone);
    $sum->{$_} = max($sum->{$_}, $f->{$_}) for qw(max last_at);
    $sum->{latency}{$_->[0]} += $_->[1] for @{ $f->{latency} };
    $sum->{notices}{$_} += $f->{notices}{$_} for keys %{ $f->{notices} };
}


# in ms: t/util/lib/stats.c has the scale
sub percentile {
    my ($latency, $share) = @_;

    my $all = sum0(values %$latency);
    my $n = 0;

    for my $i (sort { $a <=> $b } keys %$latency) {
        $n += $latency->{$i};
        next if $n < $share * $all;

        # as if all of a bucket were spread evenly over it

        my $part = 1 - ($n - $share * $all) / $latency->{$i};

        return ($i + $part) / 1e6 if $i < 32;
        return (32 + $i % 32 + $part) * 2 ** (int($i / 32) - 1) / 1e6;
    }

    return 0;
}


sub stop {
    my ($self) = @_;

    $_->stop('TERM', 10) for $self->processes;
}


1;
