package Bench::Peer;

# What every peer is: a server that can be started, fed and asked what it
# costs.  This one is fed by pace from outside; others override what they do
# differently.

use strict;
use warnings;

use File::Path qw(remove_tree);
use File::Temp qw(tempdir);
use IO::Socket::INET;
use JSON::PP ();

use Bench::Load;
use Test::Fanout qw(wait_for);
use Test::Fanout::Process;

my $json = JSON::PP->new;
my $count = 0;


sub new {
    my ($class, $env, $shape, $option) = @_;

    return bless {
        env => $env, shape => $shape, option => $option // '',
        topic => "bench-$$-" . ++$count,
    }, $class;
}


sub program { "$ENV{FANOUT_BUILD}/bench/$_[0]" }

# how subscribers talk to it, and what of
sub dialect { 'plain' }
sub path { '/' }
sub filter { $_[0]->channel }
sub channel { $_[0]{shape}{keys} > 1 ? 'key-%d' : 'key-0' }

# where pace sends records to
sub target { die }

# before records: subscriptions may be served later than they are made
sub settle { }

# writes so far, undef: it does not count them; "counting" is perf
sub writes { undef }

# CPU so far
sub cpu { Bench::Cost::cpu($_[0]->pids) }

# frames that it has delivered so far to anybody, if it counts them
sub delivered { undef }

# how often a record came from the worker that reads it to another, at most;
# undef: there is no other
sub crossed { undef }

# something that makes the figures worthless, as text
sub doubt { '' }


# the subscribers of its shape, or of another one
sub load {
    my ($self, $shape) = @_;

    $shape //= $self->{shape};

    return Bench::Load->new(program('load'), $shape,
        '--port', $self->port, '--dialect', $self->dialect,
        '--path', $self->path, '--filter', $self->filter,
        $shape->{tls} ? '--tls' : ());
}


sub numbers {
    my ($self) = @_;

    my $shape = $self->{shape};

    return ('--topic', $self->{topic}, '--size', $shape->{size},
            '--keys', $shape->{keys}, '--miss', $shape->{miss},
            '--partitions', $shape->{partitions});
}


sub warm {
    my ($self) = @_;

    $self->pace('--warm');
}


# begins to send the records of the shape
sub produce {
    my ($self) = @_;

    my $shape = $self->{shape};
    my @target = $self->target;

    push @target, '-X', "linger.ms=$shape->{linger}"
        if $shape->{linger} && $target[1] eq 'kafka';

    return Test::Fanout::Process->new(
        cmd => [program('pace'), @target, $self->numbers,
                '--count', $shape->{count}, '--rate', $shape->{rate}]);
}


# the same to the end, with options; its figures
sub pace {
    my ($self, @options) = @_;

    return $self->made(Test::Fanout::Process->new(
        cmd => [program('pace'), $self->target, $self->numbers, @options]));
}


sub made {
    my ($self, $process) = @_;

    my $line = $process->line(120) // die "pace failed\n";
    my $figures = $json->decode($line);

    die "$figures->{failed} records were refused\n" if $figures->{failed};

    return $figures;
}


# with leaders: who subscribes before is refused
sub create_topic {
    my ($self) = @_;

    my $kafka = $self->{env}{kafka};

    $kafka->create($self->{topic}, $self->{shape}{partitions});
    $kafka->wait_leaders($self->{topic}, sub { $_[0] != -1 });
}


sub signal {
    my ($self, $signal) = @_;

    kill $signal, $self->pids;
}


# -- for peers that are one program

sub run_program {
    my ($self, $port, @command) = @_;

    $self->{dir} //= tempdir('fanout-bench-XXXXXX', TMPDIR => 1,
                             CLEANUP => 1);
    my $log = "$self->{dir}/log";

    $self->{process} = Test::Fanout::Process->new(
        cmd => \@command, out => $log, err => $log);

    wait_for(sub {
        die "$command[0] ended, see $log\n" if !$self->{process}->alive;
        return IO::Socket::INET->new(PeerAddr => "127.0.0.1:$port",
                                     Timeout => 1);
    }, 20, $command[0]);
}


sub pids { $_[0]{process}->pid }


sub stop {
    my ($self) = @_;

    $self->{process}->stop('TERM', 10) if $self->{process};
    remove_tree($self->{dir}) if $self->{dir};
}


1;
