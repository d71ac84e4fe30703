package Bench::Peer::Floor;

# The floor of writing: the same bytes to as many sockets by a bare loop of
# send().  Where ours joined records in a write, it joins as many.

use strict;
use warnings;

use parent -norequire, 'Bench::Peer';

use JSON::PP ();

use Test::Fanout::Process;


sub start {
    my ($self) = @_;

    my $shape = $self->{shape};

    $self->{process} = Test::Fanout::Process->new(in => 1, cmd => [
        Bench::Peer::program('floor'), '--sessions', $shape->{sessions},
        '--size', $shape->{size}, '--keys', $shape->{keys},
    ]);

    $self->{port} = $self->{process}->line(10);
}


sub dialect { 'plain' }
sub path { '/%d' }
sub port { $_[0]{port} }
sub warm { $_[0]{process}->say('warm') }


sub load {
    my ($self) = @_;

    # the value of each record is the second of two messages

    my $load = Bench::Load->new(Bench::Peer::program('load'), $self->{shape},
        '--port', $self->port, '--dialect', 'pairs', '--path', $self->path,
        '--filter', '');

    die "the floor has not all sockets\n"
        if $self->{process}->line(60) ne 'open';

    return $load;
}


sub produce {
    my ($self) = @_;

    my $shape = $self->{shape};
    my $join = 1;

    # known of the round before, or of ours in this one

    if (!$shape->{rate} && $shape->{keys} == 1 && $self->{context}{writes}) {
        $join = int(1 / $self->{context}{writes} + 0.5) || 1;
        $join = $shape->{count} if $join > $shape->{count};
    }

    $self->{process}->say("go $shape->{count} $shape->{rate} $join");

    return $self->{process};
}


sub made {
    my ($self, $process) = @_;

    my $figures = JSON::PP->new->decode($process->line(120));

    $self->{sends} = $figures->{sends};

    return { %$figures, late_ms => 0 };
}


sub writes { $_[0]{sends} // 0 }


1;
